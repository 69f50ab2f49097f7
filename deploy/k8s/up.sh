#!/usr/bin/env bash
# Brings the whole stack up in the cluster that KUBECONFIG names, and sends one picture through it.
#   OVERLAY=local|rabbitmq|no-keda   which of deploy/k8s/overlays
#   REGISTRY=registry.example.com/x  pushes the images there; without it they are loaded: into kind and k3d by their own
#   CLUSTER_LOAD="command"           commands, into another cluster by this one, which gets the images' names
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

main() {
  check_overlay
  need_cluster
  check_keda
  [ "$OVERLAY" != rabbitmq ] || BROKER=rabbitmq
  mode=$("$here/images.sh")
  hand_over_images
  say "Stack: applying the overlay $OVERLAY"
  kubectl apply --filename "$k8s/base/namespace.yaml" >/dev/null
  "$k8s/secrets.sh"
  kubectl apply --kustomize "$generated" >/dev/null
  in_cluster rollout status deployment/api --timeout 180s >/dev/null || explain
  "$k8s/smoke.sh" || explain
  "$k8s/status.sh"
}

check_overlay() {
  case $OVERLAY in
    local | rabbitmq | no-keda) return ;;
    production) refuse "OVERLAY = production is not for this command: its secrets come from outside." \
      "Edit deploy/k8s/overlays/production/kustomization.yaml, then: kubectl apply -k deploy/k8s/overlays/production" ;;
  esac
  refuse "OVERLAY = '$OVERLAY' is not one for this command." "Write OVERLAY=local, OVERLAY=rabbitmq or OVERLAY=no-keda."
}

check_keda() {
  [ "$OVERLAY" != no-keda ] || return 0
  kubectl get crd scaledobjects.keda.sh >/dev/null 2>&1 ||
    refuse "KEDA is not installed in this cluster, and the overlay $OVERLAY scales with it." \
      "Install it: helm install keda kedacore/keda --namespace keda --create-namespace" \
      "Or scale on CPU, without scaling to zero: OVERLAY=no-keda make k8s-up"
}

# Every image gets a tag made of its content, so that a new build rolls out and an old one is not taken for it.
hand_over_images() {
  local service name tag target tags=() base=${REGISTRY:-celery-blueprint}
  composed=$(compose "$mode" config --format json)
  generated=$k8s/../../.cache/k8s
  mkdir -p "$generated"
  {
    echo "apiVersion: kustomize.config.k8s.io/v1beta1"
    echo "kind: Kustomization"
    echo "resources: [../../deploy/k8s/overlays/$OVERLAY]"
    echo "images:"
  } >"$generated/kustomization.yaml"
  for service in $(services); do
    name=$(image "$service")
    tag=$(docker image inspect --format '{{.Id}}' "$name" | cut -d: -f2 | cut -c1-12)
    target=$base/$(part "$service"):$tag
    [ "$name" = "$target" ] || docker tag "$name" "$target"
    tags+=("$target")
    echo "  - {name: $(named "$service"), newName: $base/$(part "$service"), newTag: \"$tag\"}" >>"$generated/kustomization.yaml"
  done
  say "Images: handing over ${#tags[@]} of them to the cluster"
  load "${tags[@]}"
  docker rmi --no-prune "${tags[@]}" >/dev/null # the names alone: each image keeps the one it had
}

services() { echo migrate exporter redis postgres; [ "$OVERLAY" != rabbitmq ] || echo rabbitmq; }
part() { if [ "$1" = migrate ]; then echo app; else echo "$1"; fi; }

# The image's name in the manifests.
named() {
  case $1 in
    migrate | exporter) echo "celery-blueprint/$(part "$1")" ;;
    *) echo "$1" ;;
  esac
}

# The image's name on this machine.
image() { "$python" -c "import json, sys; print(json.load(sys.stdin)['services']['$1']['image'])" <<<"$composed"; }

load() {
  local context image
  context=$(kubectl config current-context 2>/dev/null || true)
  if [ -n "${REGISTRY:-}" ]; then
    for image in "$@"; do docker push --quiet "$image" >/dev/null; done
  elif [ -n "${CLUSTER_LOAD:-}" ]; then
    # shellcheck disable=SC2086  # a command and its words
    $CLUSTER_LOAD "$@" >/dev/null
  else
    case $context in
      kind-*) kind load docker-image --name "${context#kind-}" "$@" >/dev/null ;;
      k3d-*) k3d image import --cluster "${context#k3d-}" "$@" >/dev/null ;;
      *) refuse "How do images get into the cluster '$context'?" "Push them: REGISTRY=registry.example.com/team make k8s-up" \
        "Or name a command that loads them: CLUSTER_LOAD='minikube image load' make k8s-up" ;;
    esac
  fi
}

explain() {
  say "The stack did not come up. Its pods and its last warnings:" >&2
  in_cluster get pods >&2
  in_cluster get events --field-selector type=Warning --sort-by .lastTimestamp 2>&1 | tail -n 12 >&2
  exit 1
}

python=$("$here/../hosts/python.sh")
main
