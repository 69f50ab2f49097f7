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
kept=0
for image in $(docker images --filter label=celery-blueprint.built=1 --quiet | sort -u); do
  docker rmi --force "$image" >/dev/null 2>&1 || kept=$((kept + 1)) # a container of another project runs it
done
say "Removed the project $PROJECT with its data, and the images built here. Settings and passwords stay in deploy/compose."
[ "$kept" = 0 ] || say "$kept of the images stay: containers use them. docker ps --all says which."
