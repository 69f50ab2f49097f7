#!/usr/bin/env bash
# install.sh [--prefix DIR] [--root DIR]: puts this checkout on a host as a release of its own, and its units.
# Run again it changes nothing; run from a newer checkout it is an upgrade, queue by queue.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
# shellcheck source=deploy/systemd/release.sh
. "$here/release.sh"

main() {
  read_options "$@"
  command -v systemctl >/dev/null || refuse "This host has no systemd." "Use deploy/systemd/supervisor, or docs/systemd.md."
  make_release
  install_settings
  install_units
  use_release
  if booted; then restart; fi
  remove_old_releases
  say "Installed: $prefix/current is $(basename "$release"). Settings: /etc/celery-blueprint. Start: systemctl start celery.target"
}

install_settings() {
  install -D -m 644 "$here/sysusers.conf" "$root/usr/lib/sysusers.d/celery-blueprint.conf"
  install -D -m 644 "$here/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/celery-blueprint.conf"
  mkdir -p "$config" && install -d -m 700 "$config/credentials"
  [ -e "$config/celery.env" ] || install -m 644 "$here/celery.env.example" "$config/celery.env"
  make_passwords
  systemd-sysusers ${root:+--root="$root"} celery-blueprint.conf
  systemd-tmpfiles ${root:+--root="$root"} --create celery-blueprint.conf
}

install_units() {
  local unit queue
  mkdir -p "$units"
  for unit in "$here"/units/*; do sed "s|/opt/celery-blueprint|$prefix|g" "$unit" >"$units/$(basename "$unit")"; done
  remove_old_queues
  for queue in $(queues); do
    install -D -m 644 "$here/queues/$queue.conf" "$units/celery-worker@$queue.service.d/50-queue.conf"
  done
  [ ! -e "$here/queues/backup.conf" ] ||
    install -D -m 644 "$here/backups.conf" "$units/celery-worker@backup.service.d/60-backups.conf"
  if_booted daemon-reload
  queues | sed 's/.*/celery-worker@&.service/' |
    xargs systemctl ${root:+--root="$root"} --quiet enable celery.target celery-{api,beat,flower,exporter}.service
}

queues() { for file in "$here"/queues/*.conf; do basename "$file" .conf; done; }

remove_old_queues() { # a queue that queues.toml has no more; what waits in it stays with the broker
  local folder unit queue
  for folder in "$units"/celery-worker@*.service.d; do
    unit=$(basename "$folder" .d)
    queue=$(sed -n 's/^Environment=QUEUE=\([^ ]*\).*/\1/p' "$folder/50-queue.conf" 2>/dev/null || true)
    if [ -z "$queue" ] || [ -e "$here/queues/$queue.conf" ]; then continue; fi
    say "Removing $unit: its queue is gone"
    systemctl ${root:+--root="$root"} --quiet disable "$unit"
    if_booted stop "$unit"
    rm -r "$folder"
  done
}

# What runs of another release, one after the other: each ends what it runs, for as long as its queue's grace, while the
# others work. Workers first: one that is older than who publishes would meet tasks that it does not know.
restart() {
  local unit old=()
  for unit in $(active 'celery-worker@*') $(active celery-{api,beat,flower,exporter}.service); do
    [ "$(readlink "/proc/$(systemctl show -P MainPID "$unit")/cwd")" = "$release" ] || old+=("$unit")
  done
  [ "${#old[@]}" -gt 0 ] || return 0
  systemctl try-restart celery-migrate.service ||
    refuse "The migration failed, so nothing was restarted." "journalctl -u celery-migrate says why; then run this again."
  for unit in "${old[@]}"; do
    say "Restarting $unit"
    systemctl restart "$unit"
  done
}

main "$@"
