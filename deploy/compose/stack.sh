# shellcheck shell=bash disable=SC2034
# The stack's names and files, sourced by up.sh, down.sh, status.sh and clean.sh.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
images=$here/../images

# Settings come from the environment, then from deploy/compose/.env, then from the defaults in compose.yaml.
setting() { # NAME DEFAULT
  local value
  eval "value=\${$1:-}"
  if [ -z "$value" ] && [ -r "$here/.env" ]; then value=$(sed -n "s/^$1=//p" "$here/.env" | tail -n 1); fi
  printf '%s' "${value:-$2}"
}

PROJECT=$(setting PROJECT celery-blueprint)
BROKER=$(setting BROKER redis)
SECRETS_DIR=$(setting SECRETS_DIR "$here/secrets")
case $SECRETS_DIR in /*) ;; *) SECRETS_DIR=$here/$SECRETS_DIR ;; esac
export PROJECT BROKER SECRETS_DIR

# Published ports: service, variable, default.
ports="api API_PORT 8000
flower FLOWER_PORT 5555
prometheus PROMETHEUS_PORT 9090
alertmanager ALERTMANAGER_PORT 9093
grafana GRAFANA_PORT 3000
mail MAIL_PORT 8025
rabbitmq RABBITMQ_PORT 15672"

say() { printf '%s\n' "$*"; }

refuse() { # WHAT REMEDY...
  printf '%s\n' "$1" >&2
  shift
  printf '  %s\n' "$@" >&2
  exit 2
}

need_engine() {
  local answer
  answer=$(docker version --format '{{.Server.Version}}' 2>&1) && return
  case $answer in
    *"permission denied"*) refuse "You may not talk to this machine's Docker Engine." \
      "Run: sudo usermod -aG docker $(id -un)   and log in again." ;;
  esac
  refuse "No Docker Engine answers on this machine." "Start Docker, or run make up."
}

# compose [registry|offline] ARGUMENTS: docker compose with the files of this stack; later files win.
compose() {
  local mode=$1 files=(--file "$here/compose.yaml" --file "$here/workers.yaml" --file "$here/monitoring.yaml")
  shift
  if [ "$BROKER" = rabbitmq ]; then files+=(--file "$here/compose.rabbitmq.yaml"); fi
  if [ "$mode" = offline ]; then files+=(--file "$here/compose.offline.yaml"); fi
  if [ "$mode-$BROKER" = offline-rabbitmq ]; then files+=(--file "$here/compose.offline.rabbitmq.yaml"); fi
  docker compose --project-name "$PROJECT" "${files[@]}" "$@"
}

# What runs is found by the project's name alone, so that these need no files, no secrets and no BROKER.
running() { docker compose --project-name "$PROJECT" "$@"; }
