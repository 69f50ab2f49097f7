#!/usr/bin/env bash
# Prints the stack as a table: service, address, state, and where its password is.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

row() { printf '%-16s %-24s %-10s %s\n' "$@"; }

login() { # SERVICE
  case $1 in
    api) if [ -n "${APP_LOGIN:-}" ]; then echo "admin, password in ${SECRETS_DIR#"$PWD"/}/$APP_LOGIN"; else echo "-"; fi ;;
    flower) echo "admin, password in ${SECRETS_DIR#"$PWD"/}/flower_password" ;;
    grafana) echo "admin, password in ${SECRETS_DIR#"$PWD"/}/grafana_password" ;;
    rabbitmq) echo "celery, password in ${SECRETS_DIR#"$PWD"/}/rabbitmq_password" ;;
    postgres) echo "app, password in ${SECRETS_DIR#"$PWD"/}/postgres_password" ;;
    redis) echo "celery, password in ${SECRETS_DIR#"$PWD"/}/redis_password" ;;
    *) echo "-" ;;
  esac
}

state() { # STATE HEALTH
  if [ "$1" = running ] && [ -n "$2" ]; then echo "$2"; else echo "$1"; fi
}

need_engine
rows=$(running ps --all --format '{{.Service}}|{{.State}}|{{.Health}}|{{.ExitCode}}|{{range .Publishers}}{{if .PublishedPort}}http://{{.URL}}:{{.PublishedPort}} {{end}}{{end}}' | sort)
if [ -z "$rows" ]; then
  say "Nothing of the project $PROJECT is running. Bring it up: make up"
  exit 0
fi
row SERVICE ADDRESS STATE LOGIN
while IFS='|' read -r service condition health code address; do
  if [ "$service-$condition-$code" = migrate-exited-0 ]; then continue; fi # its work is done
  row "$service" "${address:--}" "$(state "$condition" "$health")" "$(login "$service")"
done <<<"$rows"
