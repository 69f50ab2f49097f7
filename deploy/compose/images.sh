#!/usr/bin/env bash
# Makes every image of the stack present, the application's up to date, and prints where the others come from:
# "registry" or "offline". What happens meanwhile is told on standard error.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

main() {
  others=missing
  choose_images >&2
  build >&2
  echo "$mode"
}

# Official images where a registry answers, else the same servers from distribution packages. Present images decide
# at once, and are not built again (IMAGES=offline does that); otherwise one short question to the registry does, so that
# nobody waits for fifteen time-outs.
choose_images() {
  mode=$(setting IMAGES "")
  case $mode in
    registry | offline) return ;;
    "") ;;
    *) refuse "IMAGES = '$mode' is not a source of images." "Write IMAGES=registry or IMAGES=offline, or leave it out." ;;
  esac
  if present registry; then
    mode=registry others=present
  elif present offline; then
    mode=offline others=present
  elif registry_answers; then
    mode=registry
    say "Images: a registry answers, pulling what is missing"
  else
    mode=offline
    say "Images: no registry answers, building every image from distribution packages (a minute or two the first time)"
    say "Images: Grafana is left out, since its server comes from a registry only"
  fi
}

present() { # MODE: are all third-party images here?
  local names
  names=$(compose "$1" config --images | grep -vFx "$APP_IMAGE" | sort -u)
  # shellcheck disable=SC2086  # a list of names
  docker image inspect $names >/dev/null 2>&1
}

registry_answers() {
  local pid image
  image=$(compose registry config --images redis)
  docker buildx imagetools inspect --raw "$image" >/dev/null 2>&1 &
  pid=$!
  for _ in $(seq 100); do # 20 s, in steps of 0.2 s
    kill -0 "$pid" 2>/dev/null || { wait "$pid" && return 0 || return 1; }
    sleep 0.2
  done
  kill "$pid" 2>/dev/null || true
  return 1
}

build() {
  local services=()
  case $mode-$others in
    registry-missing) compose registry pull --quiet --ignore-buildable --policy missing ;;
    offline-missing) "$images/base.sh" ;;
    *) services=(migrate) ;; # the one service that builds the application's image
  esac
  say "Images: building what changed"
  log=$(mktemp)
  trap 'rm -rf "$log" "${BUILD_SETTINGS:-}"' EXIT
  if [ -t 2 ]; then
    with_build_settings build "${services[@]+"${services[@]}"}"
  elif ! with_build_settings --progress plain build "${services[@]+"${services[@]}"}" >"$log" 2>&1; then
    tail -n 30 "$log"
    refuse "The images could not be built." "The lines above say why."
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

main
