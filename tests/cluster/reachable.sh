#!/usr/bin/env bash
# Whether there is a Kubernetes with KEDA for the cluster tests, and a way to give it images: nobody's production cluster
# is tested because KUBECONFIG happened to name it. Exit code 2 and the reason when there is none; one that is named and does
# not answer, or has no KEDA, is a fault and no reason to skip.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

if [ -z "${KUBECONFIG:-}" ]; then
  say "KUBECONFIG names no cluster (kind create cluster, install KEDA, export KUBECONFIG)"
  exit 2
fi
command -v kubectl >/dev/null || { say "kubectl is not installed"; exit 2; }
case $(kubectl config current-context 2>/dev/null)-${CLUSTER_LOAD:-}${REGISTRY:-} in
  kind-* | k3d-* | *-?*) ;;
  *) say "the cluster of KUBECONFIG is neither kind nor k3d, and neither CLUSTER_LOAD nor REGISTRY says that it is for tests"; exit 2 ;;
esac
kubectl get namespaces --request-timeout 10s >/dev/null || exit 1
kubectl get crd scaledobjects.keda.sh >/dev/null || exit 1
