#!/usr/bin/env bash
# Brings the stack up and sends one picture through it. Settings: deploy/compose/.env.example.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

main() {
  check_settings
  "$here/../hosts/docker.sh"
  [ -e "$here/.env" ] || cp "$here/.env.example" "$here/.env"
  "$here/secrets.sh"
  check_ports
  choose_images
  build
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

# Before anything is started: a stack that stops half-way up because of a port helps nobody.
check_ports() {
  local service variable default port ours
  ours=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Ports}}')
  while read -r service variable default; do
    port=$(setting "$variable" "$default")
    valid_port "$port" || refuse "$variable = '$port' is not a port." "Write a number from 1 to 65535."
    case $ours in *"127.0.0.1:$port->"*) continue ;; esac
    if [ "$service" = rabbitmq ] && [ "$BROKER" != rabbitmq ]; then continue; fi
    if port_taken "$port"; then
      refuse "Port $port on 127.0.0.1 is in use by another program; $service needs it." \
        "End that program, or choose another port: $variable=$((port + 10000 > 65535 ? port - 10000 : port + 10000)) make up"
    fi
  done <<<"$ports"
}

valid_port() {
  case $1 in *[!0-9]* | "" | ??????*) return 1 ;; esac
  [ "$1" -ge 1 ] && [ "$1" -le 65535 ]
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Official images where a registry answers, else the same servers from distribution packages. Present images decide
# at once; otherwise one short question to the registry does, so that nobody waits for fifteen time-outs.
choose_images() {
  mode=$(setting IMAGES "")
  case $mode in
    registry | offline) return ;;
    "") ;;
    *) refuse "IMAGES = '$mode' is not a source of images." "Write IMAGES=registry or IMAGES=offline, or leave it out." ;;
  esac
  if present registry; then
    mode=registry
  elif present offline; then
    mode=offline
  elif registry_answers; then
    mode=registry
    say "Images: a registry answers, pulling what is missing"
  else
    mode=offline
    say "Images: no registry answers, building every image from distribution packages (about 4 minutes the first time)"
  fi
}

present() { # MODE: are all third-party images here?
  local names
  names=$(compose "$1" config --images | grep -v '^celery-blueprint/app:' | sort -u)
  # shellcheck disable=SC2086  # a list of names
  docker image inspect $names >/dev/null 2>&1
}

registry_answers() {
  local pid image
  image=$(compose registry config --images | grep '^redis:')
  docker manifest inspect "$image" >/dev/null 2>&1 &
  pid=$!
  for _ in $(seq 50); do # 10 s, in steps of 0.2 s
    kill -0 "$pid" 2>/dev/null || { wait "$pid" && return 0 || return 1; }
    sleep 0.2
  done
  kill "$pid" 2>/dev/null || true
  return 1
}

build() {
  [ "$mode" = registry ] || "$images/base.sh"
  if [ "$mode" = registry ]; then compose registry pull --quiet --ignore-buildable --policy missing; fi
  say "Images: building what changed"
  (compose "$mode" config -q) || exit 2
  built=$(mktemp)
  trap 'rm -f "$built"' EXIT
  if [ -t 1 ]; then
    with_build_settings build
  elif ! with_build_settings --progress=plain build >"$built" 2>&1; then
    tail -n 30 "$built" >&2
    exit 1
  fi
}

with_build_settings() {
  # shellcheck source=deploy/images/settings.sh
  . "$images/settings.sh"
  local code=0
  compose "$mode" "$@" || code=$?
  rm -rf "$BUILD_SETTINGS"
  return "$code"
}

# queues.toml and the file rendered from it, read by the image that will read them in a moment.
check_queues() {
  docker run --rm --network none --read-only --volume "$here/../..:/repository:ro" --workdir /repository \
    "$(setting APP_IMAGE celery-blueprint/app:dev)" python -m deploy.render --check --root /repository || exit 2
}

start() {
  say "Stack: starting ($PROJECT, broker $BROKER)"
  if ! compose "$mode" up --detach --no-build --remove-orphans --quiet-pull >"$built" 2>&1; then
    cat "$built" >&2
    explain
  fi
  running exec -T api python -m app.smoke --api http://127.0.0.1:8000 --mail http://mail:8025 || explain
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
  say ""
  say "The stack did not come up. What is not healthy, and its last words:" >&2
  running ps --all --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}' |
    grep -vE ' running healthy | exited +0$' | while read -r service state _; do
      say "--- $service ($state)"
      running logs --no-log-prefix --tail 8 "$service" </dev/null
    done >&2
  say "Read more: make logs. Take it down: make down." >&2
  exit 1
}

main
