#!/usr/bin/env bash
# The distribution's Chromium for the tests of the page, where it may be installed. Where it may not, those tests skip
# themselves and say so; nothing else waits for it.
set -euo pipefail
# shellcheck source=deploy/hosts/apt.sh
. "$(dirname "$0")/../deploy/hosts/apt.sh"

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
can_install || exit 0
say "Chromium: installing the distribution's, for the tests of the page"
apt_update
apt_install chromium fonts-dejavu-core
