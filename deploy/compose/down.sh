#!/usr/bin/env bash
# Stops the stack and removes its containers and networks. Volumes stay: the next `make up` finds the same data.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

if ! docker version >/dev/null 2>&1; then
  refuse "No Docker Engine answers, so nothing can be stopped." "Start Docker, or run make up."
fi
running down --remove-orphans
