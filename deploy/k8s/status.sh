#!/usr/bin/env bash
# Prints what runs in the cluster, how it scales, and how to reach it.
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

need_cluster
need_stack
kinds=deployments,statefulsets,hpa
if kubectl get crd scaledobjects.keda.sh >/dev/null 2>&1; then kinds=$kinds,scaledobjects; fi
in_cluster get "$kinds"
say ""
say "API:     kubectl -n $NAMESPACE port-forward service/api 8000:80, then http://127.0.0.1:8000"
say "Flower:  kubectl -n $NAMESPACE port-forward service/flower 5555:80, then http://127.0.0.1:5555 as admin, with"
say "         kubectl -n $NAMESPACE get secret flower -o jsonpath='{.data.flower_password}' | base64 -d"
