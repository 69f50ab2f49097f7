#!/usr/bin/env bash
# Brings the stack up and sends one picture through it, or what another app's stack.env says. Settings: deploy/compose/.env.example.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

main() {
  check_settings
  "$here/../hosts/docker.sh"
  [ -e "$here/.env" ] || cp "$here/.env.example" "$here/.env"
  "$here/secrets.sh"
  check_ports
  mode=$("$here/images.sh")
  [ "$mode" = offline ] || check_free grafana GRAFANA_PORT "$(setting GRAFANA_PORT 3000)"
  check_queues
  start
  "$here/status.sh"
}

check_settings() {
  case $BROKER in
    redis | rabbitmq) ;;
    *) refuse "BROKER = '$BROKER' is not a broker of this stack." "Write BROKER=redis or BROKER=rabbitmq." ;;
  esac
  case $PROJECT in
    [a-z0-9]*) case $PROJECT in *[!a-z0-9_-]*) bad_project ;; esac ;;
    *) bad_project ;;
  esac
}

bad_project() {
  refuse "PROJECT = '$PROJECT' is not a name for a Compose project." \
    "Use lower-case letters, digits, - and _; a letter or digit first."
}

# Before anything is built or started: a stack that stops half-way up because of a port helps nobody.
check_ports() {
  local service variable default port seen=
  while read -r service variable default; do
    port=$(setting "$variable" "$default")
    if [ "$service" = rabbitmq ] && [ "$BROKER" != rabbitmq ]; then continue; fi
    valid_port "$port" || refuse "$variable = '$port' is not a port." "Write a number from 1 to 65535."
    case $seen in *" $port "*) refuse "$variable = $port is given to two services." "Give each a port of its own." ;; esac
    seen="$seen $port "
    # Grafana is not part of every stack: see main.
    [ "$service" = grafana ] || check_free "$service" "$variable" "$port"
  done <<<"$ports"
}

check_free() { # SERVICE VARIABLE PORT: nothing else listens there
  local ours
  ours=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Ports}}')
  case $ours in *"127.0.0.1:$3->"*) return ;; esac
  if port_taken "$3"; then
    refuse "Port $3 on 127.0.0.1 is in use by another program; $1 needs it." \
      "End that program, or choose another port: $2=$(($3 + 10000 > 65535 ? $3 - 10000 : $3 + 10000)) make up"
  fi
}

valid_port() {
  case $1 in *[!0-9]* | "" | ??????*) return 1 ;; esac
  [ "$1" -ge 1 ] && [ "$1" -le 65535 ]
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# queues.toml and the file rendered from it, read by the image that will read them in a moment.
check_queues() {
  docker run --rm --network none --read-only --user "$(id -u):$(id -g)" --volume "$here/../..:/repository:ro" --workdir /repository \
    "$APP_IMAGE" python -m deploy.render --check --root /repository || exit 2
}

start() {
  say "Stack: starting ($PROJECT, broker $BROKER)"
  # The servers read their configuration as users of their own; a checkout may keep its files to its owner (umask 077).
  chmod -R a+rX "$here/config" "$here/../prometheus" "$here/../../grafana/"{provisioning,dashboards} ${APP_SCRAPE:+"$APP_SCRAPE"}
  compose "$mode" --progress quiet up --detach --no-build --remove-orphans || explain
  # shellcheck disable=SC2086  # a command and its arguments
  running exec -T api $SMOKE || explain
  wait_until_healthy || explain
}

wait_until_healthy() {
  local deadline=$((SECONDS + 90))
  while running ps --format '{{.Service}} {{.Health}}' | grep -qE ' (starting|unhealthy)$'; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.3
  done
}

explain() {
  local broken=' (created|restarting|dead) | running unhealthy| exited .*[1-9][0-9]*$'
  say "The stack did not come up. What failed, and its last words:" >&2
  running ps --all --format '{{.Name}} {{.State}} {{.Health}} {{.ExitCode}}' | grep -E "$broken" |
    while read -r container state _; do
      say "--- $container ($state)"
      docker logs --tail 8 "$container" 2>&1 </dev/null | cut -c1-300
    done >&2 || true
  say "Read more: make logs. Take it down: make down." >&2
  exit 1
}

main
