#!/usr/bin/env bash
# uninstall.sh [--prefix DIR] [--root DIR]: stops and removes what install.sh made. Settings, passwords and backups stay.
set -euo pipefail
. "$(dirname "$0")/settings.sh"

main() {
  local unit
  read_options "$@"
  [ -e "$root$prefix/releases" ] || refuse "Nothing is installed in $prefix." "Name its folder: PREFIX=/opt/celery-blueprint"
  say "Stopping: each worker ends what it runs"
  if_booted stop celery.target
  for unit in $(ours); do
    if_booted stop "$unit"
    systemctl ${root:+--root="$root"} --quiet disable "$unit"
  done
  rm -rf "$units"/celery-worker@*.service.d
  for unit in "$here"/{units,trial}/*; do rm -f "$units/$(basename "$unit")"; done
  rm -f "$root"/usr/lib/{sysusers,tmpfiles}.d/celery-blueprint.conf
  rm -rf "$root$prefix"/{releases,venvs,current,previous}
  rmdir --ignore-fail-on-non-empty "$root$prefix"
  if_booted daemon-reload
  say "Removed. These stay: /etc/celery-blueprint, /var/lib/celery-backups and the user celery."
}

ours() { # every unit that is installed, an instance for each worker
  local file
  for file in "$units"/celery-worker@*.service.d; do basename "$file" .d; done
  for file in "$here"/{units,trial}/*; do
    file=$(basename "$file")
    case $file in *@*) ;; *) [ ! -e "$units/$file" ] || echo "$file" ;; esac
  done
}

main "$@"
