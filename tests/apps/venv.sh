#!/usr/bin/env bash
# An environment with the examples' own packages beside the runtime's, and nothing of the reference app.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory .venv-examples/ready
.venv-examples/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
