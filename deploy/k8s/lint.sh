#!/usr/bin/env bash
# Builds every overlay and asks checkov about it.
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

command -v kubectl >/dev/null || refuse "kubectl is not installed." "Install it: https://kubernetes.io/docs/tasks/tools/"
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
for overlay in "$k8s"/overlays/*/; do
  kubectl kustomize "$overlay" >"$built/$(basename "$overlay").yaml"
done
"$k8s/../../.venv-checkov/bin/checkov" --directory "$built" --config-file "$k8s/checkov.yaml"
