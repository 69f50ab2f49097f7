# shellcheck shell=bash disable=SC2034
# The stack's names and files, sourced by up.sh, down.sh, status.sh and clean.sh.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
images=$here/../images

say() { printf '%s\n' "$*"; }

refuse() { # WHAT REMEDY...
  printf '%s\n' "$1" >&2
  shift
  printf '  %s\n' "$@" >&2
  exit 2
}

# APP=examples/django: the app of that folder in place of the reference app. Its deploy/ says what differs: stack.env has
# settings, common.yaml what its containers have in common, app.yaml the rest; workers.yaml and scrape/ are rendered.
app=$here
if [ -n "${APP:-}" ]; then
  app=$(cd "$here/../../$APP/deploy" 2>/dev/null && pwd) || app=
  [ -r "$app/stack.env" ] || refuse "APP = '$APP' is not an app of this repository: $APP/deploy/stack.env is missing." \
    "Name a folder that has it: APP=examples/django. The reference app needs no APP."
  export APP_COMMON=$app/common.yaml APP_SCRAPE=$app/scrape
  while IFS='=' read -r name value; do
    case $name in "" | \#*) continue ;; esac
    [ -n "${!name:-}" ] || export "$name=$value"
  done <"$app/stack.env"
fi

# Settings come from the environment, then the app's stack.env, then deploy/compose/.env, then the defaults in compose.yaml.
setting() { # NAME DEFAULT
  local value
  eval "value=\${$1:-}"
  if [ -z "$value" ] && [ -r "$here/.env" ]; then value=$(sed -n "s/^$1=//p" "$here/.env" | tail -n 1); fi
  printf '%s' "${value:-$2}"
}

PROJECT=$(setting PROJECT celery-blueprint)
APP_IMAGE=$(setting APP_IMAGE celery-blueprint/app:dev)
SMOKE=${APP_SMOKE:-python -m app.smoke --api http://127.0.0.1:8000 --mail http://mail:8025}
BROKER=$(setting BROKER redis)
SECRETS_DIR=$(setting SECRETS_DIR "$here/secrets")
case $SECRETS_DIR in /*) ;; *) SECRETS_DIR=$here/$SECRETS_DIR ;; esac
[ -z "$(setting TRACING_URL "")" ] || export APP_REQUIREMENTS=requirements/tracing.txt
export PROJECT BROKER SECRETS_DIR APP_IMAGE

# Published ports: service, variable, default.
ports="api API_PORT 8000
flower FLOWER_PORT 5555
prometheus PROMETHEUS_PORT 9090
alertmanager ALERTMANAGER_PORT 9093
grafana GRAFANA_PORT 3000
rabbitmq RABBITMQ_PORT 15672"
[ -n "${APP:-}" ] || ports="$ports
mail MAIL_PORT 8025"

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
  local mode=$1 files=(--file "$here/compose.yaml" --file "$app/workers.yaml" --file "$here/monitoring.yaml")
  shift
  files+=(--file "$app/app.yaml")
  if [ "$BROKER" = rabbitmq ]; then files+=(--file "$here/compose.rabbitmq.yaml"); fi
  if [ "$mode" = offline ]; then files+=(--file "$here/compose.offline.yaml"); fi
  if [ "$mode-$BROKER" = offline-rabbitmq ]; then files+=(--file "$here/compose.offline.rabbitmq.yaml"); fi
  docker compose --project-name "$PROJECT" "${files[@]}" "$@"
}

# What runs is found by the project's name alone, so that these need no files, no secrets and no BROKER.
running() { docker compose --project-name "$PROJECT" "$@"; }
