#!/usr/bin/env bash
# scale.sh QUEUE WORKERS: runs this many workers of a queue: celery-worker@QUEUE, then QUEUE-2, QUEUE-3 and so on.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

main() {
  local queue=${1:-} workers=${2:-} number
  read_options "${@:3}"
  conf=$units/celery-worker@$queue.service.d/50-queue.conf
  if [ -z "$queue" ] || [ ! -e "$conf" ]; then
    refuse "QUEUE = '$queue' is not an installed queue." "Choose one of: $(installed)"
  fi
  case $workers in [1-9]) ;; *) refuse "WORKERS = '$workers' is not a number from 1 to 9." "More need another host: nine have a port each." ;; esac
  for number in 2 3 4 5 6 7 8 9; do
    if [ "$number" -le "$workers" ]; then add "$queue-$number" "$number"; else remove "$queue-$number"; fi
  done
}

installed() { sed -ns 's/^Environment=QUEUE=\([^ ]*\).*/\1/p' "$units"/celery-worker@*.service.d/50-queue.conf | sort -u | paste -sd ' '; }

add() { # INSTANCE NUMBER
  local folder=$units/celery-worker@$1.service.d
  [ ! -e "$folder" ] || [ -L "$folder/50-queue.conf" ] ||
    refuse "$1 is a queue of its own." "Rename it in queues.toml, or run fewer workers."
  mkdir -p "$folder"
  ln -sf "../$(basename "$(dirname "$conf")")/50-queue.conf" "$folder/50-queue.conf"
  printf '[Service]\nEnvironment=HEALTH_PORT=%s\n' "$(sed -n "s/.*HEALTH_PORT=\(.*\).$/\1$2/p" "$conf")" >"$folder/60-instance.conf"
  [ ! -e "${conf%/*}/60-backups.conf" ] || ln -sf "../$(basename "$(dirname "$conf")")/60-backups.conf" "$folder/60-backups.conf"
  systemctl daemon-reload
  systemctl --quiet enable --now "celery-worker@$1.service"
}

remove() { # INSTANCE
  local folder=$units/celery-worker@$1.service.d
  [ -L "$folder/50-queue.conf" ] || return 0
  systemctl --quiet disable --now "celery-worker@$1.service"
  rm -r "$folder"
}

main "$@"
