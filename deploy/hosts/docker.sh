#!/usr/bin/env bash
# Makes sure that a Docker Engine answers and that `docker compose` (v2) and `docker buildx` exist.
# Says nothing when they do. Root on Debian 12 or 13 gets what is missing; anyone else is told what to install.
set -euo pipefail
# shellcheck source=deploy/hosts/apt.sh
. "$(dirname "$0")/apt.sh"

PLUGINS=/usr/local/lib/docker/cli-plugins
LOG=/var/log/dockerd.log
START_SECONDS=60 # a first start creates its storage and its bridge; measured 2 s, a slow disk may take far longer

main() {
  daemon_answers || provide_daemon
  if ! has_plugin compose || ! has_plugin buildx; then provide_plugins; fi
}

daemon_answers() { ANSWER=$(docker version --format '{{.Server.Version}}' 2>&1); }

# A look at the folders first: asking the command itself costs 0.1 s each.
has_plugin() {
  local folder
  for folder in "${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins" "$PLUGINS" /usr/local/libexec/docker/cli-plugins \
    /usr/lib/docker/cli-plugins /usr/libexec/docker/cli-plugins; do
    [ -x "$folder/docker-$1" ] && return 0
  done
  docker "$1" version >/dev/null 2>&1
}

provide_daemon() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    refuse "The Docker Engine at DOCKER_HOST=$DOCKER_HOST does not answer." "Start it there, or unset DOCKER_HOST."
  fi
  case "$ANSWER" in
    *"permission denied"*)
      refuse "You may not talk to this machine's Docker Engine (its socket belongs to root and the group docker)." \
        "Run: sudo usermod -aG docker $(id -un)   and log in again." ;;
  esac
  can_install || refuse "No Docker Engine answers on this machine." \
    "Install or start Docker (Engine 20.10 or newer, with Compose v2 and buildx): https://docs.docker.com/get-docker/"
  command -v dockerd >/dev/null || install_engine
  start_engine
}

provide_plugins() {
  can_install || refuse "This Docker has no 'docker compose' (v2) or no 'docker buildx'." \
    "Install both plugins: https://docs.docker.com/compose/install/ and https://docs.docker.com/build/install-buildx/"
  say "Docker: installing the compose and buildx plugins"
  [ -n "$(apt_archives)" ] || apt_update
  if [ "$(debian_version)" = 12 ]; then plugins_from_trixie; else apt_install docker-compose docker-buildx; fi
}

install_engine() {
  say "Docker: installing the Engine from Debian's packages"
  apt_update
  if [ "$(debian_version)" = 12 ]; then
    apt_install docker.io iptables ca-certificates curl
  else
    apt_install docker.io docker-cli docker-compose docker-buildx iptables ca-certificates curl
  fi
}

# Debian 12 has neither plugin; trixie's binaries need only libc 2.34. Its runc would need a newer one and stays out.
plugins_from_trixie() {
  local work name
  work=$(mktemp -d)
  apt_install debian-archive-keyring
  apt_fetch trixie "$work" docker-compose docker-buildx
  mkdir -p "$PLUGINS"
  for name in compose buildx; do
    dpkg-deb -x "$work"/docker-"$name"_*.deb "$work/$name"
    install -m 0755 "$(find "$work/$name" -type f -path "*/cli-plugins/docker-$name")" "$PLUGINS/docker-$name"
  done
  rm -rf "$work"
}

start_engine() {
  daemon_answers && return
  if [ -d /run/systemd/system ]; then
    say "Docker: starting the Engine with systemd"
    systemctl enable --now docker
    wait_for_engine "$$" "journalctl -u docker"
  else
    say "Docker: starting the Engine (no systemd here; its log: $LOG)"
    forget_dead_engine
    setsid dockerd </dev/null >>"$LOG" 2>&1 &
    wait_for_engine "$!" "$LOG"
  fi
}

# An Engine that was killed leaves its pid files behind, and the next one refuses to start.
forget_dead_engine() {
  local file program
  for program in dockerd containerd; do
    file=/var/run/docker.pid
    [ "$program" = dockerd ] || file=/var/run/docker/containerd/containerd.pid
    [ -e "$file" ] || continue
    [ "$(cat "/proc/$(cat "$file")/comm" 2>/dev/null)" = "$program" ] || rm -f "$file"
  done
}

# wait_for_engine PID LOG: until it answers; ends at once when the process PID is gone.
wait_for_engine() {
  local deadline=$((SECONDS + START_SECONDS))
  until daemon_answers; do
    if ! kill -0 "$1" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      [ ! -r "$2" ] || tail -n 5 "$2" >&2
      refuse "The Docker Engine does not start." "Its log says why: $2"
    fi
    sleep 0.2
  done
  say "Docker: Engine $ANSWER answers"
}

# refuse WHAT REMEDY
refuse() {
  say "$1"
  say "  $2"
  say "  Without any Docker, 'make dev' runs the app as local processes."
  exit 2
}

main
