#!/usr/bin/env bash
# Writes the pinned requirements anew: for the image, for a developer, for builds, for the exporter, for `make dev`, for `make conformance`, for `make bench`, for `make lint-k8s`.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # FILE GROUP...
  local file=$1 groups=()
  shift
  for group in "$@"; do groups+=(--group "$group"); done
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-header --upgrade "${source[@]+"${source[@]}"}" "${groups[@]+"${groups[@]}"}" --output-file "requirements/$file.txt"
  echo "requirements/$file.txt"
}

source=(pyproject.toml)
lock app app
lock test app dev test lint build dashboards
# Apart, for the image that traces and its tests: redis-py imports OpenTelemetry wherever it is installed.
source=(pyproject.toml --extra tracing --constraint requirements/app.txt)
lock tracing app tracing
# An example's own beside what the stack runs in its image, in the versions that are tested here.
source=(pyproject.toml examples/django/requirements.in --constraint requirements/test.txt)
lock ../examples/django/requirements image
source=()
lock build build
source=(requirements/exporter.in)
lock exporter
source=(requirements/redis.in --no-deps)
lock redis
# kombu's and Celery's own tests: with the versions that are tested here, from the same release.
source=(requirements/conformance.in --constraint requirements/test.txt)
lock conformance
# The three examples beside the runtime, for `make test-apps`.
source=(requirements/examples.in --constraint requirements/test.txt)
lock examples
source=(examples/flask/requirements.in --constraint requirements/app.txt)
lock ../examples/flask/requirements
source=(requirements/bench.in --override requirements/bench-override.in)
lock bench
source=(requirements/checkov.in)
lock checkov
source=(requirements/sources.in --no-deps --constraint requirements/test.txt)
lock sources
