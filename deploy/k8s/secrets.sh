#!/usr/bin/env bash
# Makes the Secrets that are missing in the cluster, with passwords that stand nowhere else. Nothing that exists is changed.
# A production deployment brings the same Secrets from outside: docs/kubernetes.md.
set -euo pipefail
. "$(dirname "$0")/cluster.sh"

main() {
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  if in_cluster get secret broker >/dev/null 2>&1; then return; fi
  say "Secrets: making passwords in the namespace $NAMESPACE"
  for name in redis rabbitmq postgres flower keda; do password >"$folder/$name"; done
  secret broker redis_password=redis rabbitmq_password=rabbitmq
  secret database postgres_password=postgres
  secret flower flower_password=flower
  redis_users >"$folder/redis_users"
  secret redis redis_users=redis_users
  definitions >"$folder/definitions"
  secret rabbitmq definitions.json=definitions
  printf keda >"$folder/user"
  printf 'redis.%s.svc:6379' "$NAMESPACE" >"$folder/redis_address"
  printf 'http://rabbitmq.%s.svc:15672/celery' "$NAMESPACE" >"$folder/rabbitmq_host"
  secret keda redis_address=redis_address redis_username=user redis_password=keda \
    rabbitmq_host=rabbitmq_host rabbitmq_username=user rabbitmq_password=keda
}

secret() { # NAME KEY=FILE...
  local name=$1 pair files=()
  shift
  for pair in "$@"; do files+=("--from-file=${pair%=*}=$folder/${pair#*=}"); done
  in_cluster create secret generic "$name" "${files[@]}" >/dev/null
}

# 32 characters of 62: 190 bits.
password() { LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom 2>/dev/null | head -c 32 || true; }

# As on Compose (deploy/compose/secrets.sh says why), and KEDA's own, who may read lengths: a script's keys count as
# written to, so that its commands are what limits it.
redis_users() {
  echo "user default off resetpass ~* &* +@all"
  echo "user health on nopass resetkeys resetchannels -@all +ping"
  echo "user celery on >$(cat "$folder/redis") ~* &* +@all -@admin -@dangerous +info"
  echo "user keda on >$(cat "$folder/keda") ~* resetchannels -@all +ping +hello +client|setinfo +eval +evalsha" \
    "+type +llen +hlen"
}

# The permissions of `celery` are those of deploy/compose/config/rabbitmq.conf.
definitions() {
  local all='"vhost": "celery"' own='^(amq[.]default|(?!amq[.]))'
  cat <<JSON
{"vhosts": [{"name": "celery", "default_queue_type": "quorum"}],
 "users": [
  {"name": "celery", "password_hash": "$(hashed rabbitmq)", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["monitoring"]},
  {"name": "keda", "password_hash": "$(hashed keda)", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["management"]}],
 "permissions": [
  {"user": "celery", $all, "configure": "^(?!amq[.])", "write": "$own", "read": "$own"},
  {"user": "keda", $all, "configure": "^$", "write": "^$", "read": "^$"}]}
JSON
}

# RabbitMQ's own: base64 of four random bytes and the SHA-256 of them and the password.
hashed() {
  head -c 4 /dev/urandom >"$folder/salt"
  { cat "$folder/salt"; cat "$folder/salt" "$folder/$1" | openssl dgst -sha256 -binary; } | base64 | tr -d '\n'
}

umask 077
main
