#!/usr/bin/env bash
# Removes the stack with its data, and every image that this repository built. Asks first; YES=1 answers.
# Settings and passwords stay: the next `make up` uses them again.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

need_engine
if [ "${YES:-}" != 1 ]; then
  say "This removes the project $PROJECT: containers, networks, volumes with all data, and the images built here."
  read -r -p "Type yes to go on: " answer || answer=
  [ "$answer" = yes ] || { say "Nothing was removed."; exit 1; }
fi
running down --volumes --remove-orphans
built=$(docker images --filter label=celery-blueprint.built=1 --quiet | sort -u)
# shellcheck disable=SC2086  # a list of ids
[ -z "$built" ] || docker rmi --force $built >/dev/null
say "Removed the project $PROJECT with its data, and the images built here. Settings and passwords stay in deploy/compose."
