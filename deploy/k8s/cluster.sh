# shellcheck shell=bash disable=SC2034
# The cluster's names and checks, sourced by up.sh, status.sh, smoke.sh and down.sh. KUBECONFIG says which cluster it is.
k8s=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/compose/stack.sh
. "$k8s/../compose/stack.sh"
NAMESPACE=celery-blueprint
OVERLAY=${OVERLAY:-local}

need_cluster() {
  local answer
  command -v kubectl >/dev/null || refuse "kubectl is not installed." "Install it: https://kubernetes.io/docs/tasks/tools/"
  answer=$(kubectl get namespaces --request-timeout 10s 2>&1) ||
    refuse "No Kubernetes cluster answers: $(tail -n 1 <<<"$answer")" \
      "Name one in KUBECONFIG, or start one: kind create cluster"
}

in_cluster() { kubectl --namespace "$NAMESPACE" "$@"; }

need_stack() {
  kubectl get namespace "$NAMESPACE" >/dev/null 2>&1 ||
    refuse "There is no namespace $NAMESPACE in this cluster." "Bring the stack up: make k8s-up"
}
