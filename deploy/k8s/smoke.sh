#!/usr/bin/env bash
# Walks through the patterns on the stack in the cluster, from inside its API, a line for each.
#   ROWS=all|1,2,12   of docs/patterns.md; empty: one picture and a few tasks
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

need_cluster
need_stack
rows=()
[ -z "${ROWS:-}" ] || rows=(--rows "$ROWS")
in_cluster exec deployment/api --container api -- \
  python -m app.smoke "${rows[@]}" --api http://127.0.0.1:8000 --mail http://mail:8025 --timeout 150
