#!/usr/bin/env bash
# install.sh [--prefix DIR]: the same release as for systemd, with Supervisor's programs in place of units.
# An upgrade: run it again, then `supervisorctl update`, and `supervisorctl restart worker-QUEUE:*` queue by queue.
set -euo pipefail
. "$(dirname "$0")/../settings.sh"
# shellcheck source=deploy/systemd/release.sh
. "$here/release.sh"
programs=/etc/supervisor/conf.d

main() {
  local password
  read_options "$@"
  [ -d "$programs" ] || refuse "$programs is missing." "Install Supervisor first: apt install supervisor"
  make_release
  getent passwd celery >/dev/null || useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin celery
  mkdir -p "$config/credentials" && chmod 700 "$config/credentials"
  make_passwords
  # Supervisor hands on no secrets: each program reads its own, as the user that it runs as.
  install -d -m 750 -g celery "$config/supervisor"
  for password in "$config"/credentials/*; do install -m 640 -g celery "$password" "$config/supervisor/"; done
  sed "s|/opt/celery-blueprint|$prefix|g" "$here/supervisor/workers.conf" >"$programs/celery-workers.conf"
  [ -e "$programs/celery.conf" ] || sed "s|/opt/celery-blueprint|$prefix|g" "$here/supervisor/celery.conf" >"$programs/celery.conf"
  use_release
  remove_old_releases
  say "Installed: settings are in $programs/celery.conf. Start: supervisorctl update"
}

main "$@"
