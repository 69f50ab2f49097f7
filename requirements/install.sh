#!/usr/bin/env bash
# install.sh FOLDER: a virtual environment with everything that the Makefile's verbs need, from the pinned hashes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(deploy/hosts/python.sh)
echo "Python: installing the pinned packages into $1" >&2
"$python" -m venv "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement requirements/test.txt
"$1/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch "$1/ready"
