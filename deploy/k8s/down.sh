#!/usr/bin/env bash
# Removes the stack from the cluster, with its data and its passwords. Asks first; YES=1 answers.
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

need_cluster
need_stack
if [ "${YES:-}" != 1 ]; then
  say "This removes the namespace $NAMESPACE from $(kubectl config current-context): everything in it, volumes and data too."
  read -r -p "Type yes to go on: " answer || answer=
  [ "$answer" = yes ] || { say "Nothing was removed."; exit 1; }
fi
# Before KEDA's objects, whose finalizers wait for KEDA.
if kubectl get crd scaledobjects.keda.sh >/dev/null 2>&1; then in_cluster delete scaledobjects --all >/dev/null; fi
# What drains has nobody left to drain for; its owners go first, or they would make it anew.
in_cluster delete deployments,replicasets,statefulsets --all --cascade=orphan >/dev/null
in_cluster delete pods --all --force --grace-period 0 >/dev/null 2>&1
kubectl delete namespace "$NAMESPACE" >/dev/null
say "Removed the namespace $NAMESPACE."
