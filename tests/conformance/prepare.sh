#!/usr/bin/env bash
# prepare.sh FOLDER: kombu's and Celery's integration tests as they were published, and an environment of their own to run them in.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$1
wanted=$(cat requirements/conformance.txt requirements/sources.txt tests/conformance/prepare.sh | sha256sum)
if [ "$(cat "$folder/ready" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

echo "Conformance: fetching kombu's and Celery's published tests into $folder" >&2
rm -rf "$folder"
mkdir -p "$folder/archives"
"$(deploy/hosts/python.sh)" -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" "$@" --quiet --disable-pip-version-check --require-hashes; }
pip install --requirement requirements/conformance.txt
pip download --requirement requirements/sources.txt --no-deps --no-binary :all: --no-build-isolation --dest "$folder/archives"
for archive in "$folder"/archives/*.tar.gz; do
  name=$(basename "$archive" .tar.gz)
  mkdir "$folder/${name%-*}"
  # Their tests and pytest's settings only: what is tested is the installed package.
  tar -xzf "$archive" -C "$folder/${name%-*}" --strip-components 1 "$name/t" "$name/pyproject.toml" "$name/setup.cfg"
done
echo "$wanted" >"$folder/ready"
