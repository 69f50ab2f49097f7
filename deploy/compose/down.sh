#!/usr/bin/env bash
# Stops the stack and removes its containers and networks. Volumes stay: the next `make up` finds the same data.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

need_engine
running down --remove-orphans
