#!/usr/bin/env bash
# Makes the passwords that are missing, and the two files derived from them. Nothing that exists is changed.
# The folder is closed to other users; the files in it are readable, because each container reads as a user of its own.
set -euo pipefail
. "$(dirname "$0")/stack.sh"

main() {
  local name
  [ -d "$SECRETS_DIR" ] || (umask 077 && mkdir -p "$SECRETS_DIR" 2>/dev/null) ||
    refuse "SECRETS_DIR = $SECRETS_DIR cannot be made." "Name a folder that you may write."
  [ -n "$(ls -A "$SECRETS_DIR")" ] || say "Secrets: making passwords in $SECRETS_DIR"
  for name in postgres_password redis_password rabbitmq_password flower_password grafana_password ${APP_SECRETS:-}; do
    [ -e "$SECRETS_DIR/$name" ] || new_password "$name"
    check "$SECRETS_DIR/$name"
  done
  write redis_users redis_users
  write rabbitmq_conf rabbitmq_conf
}

# A volume keeps the password it was made with: a new one would lock everybody out.
new_password() {
  local volume
  case $1 in postgres_* | grafana_* | rabbitmq_*) volume=${PROJECT}_${1%_password} ;; *) volume= ;; esac
  if [ -n "$volume" ] && docker volume inspect "$volume" >/dev/null 2>&1; then
    refuse "$SECRETS_DIR/$1 is missing, but the volume $volume was made with it." \
      "Bring the file back, or remove the volume and its data: make clean"
  fi
  # 32 characters of 62: 190 bits.
  (umask 022 && LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom 2>/dev/null | head -c 32 >"$SECRETS_DIR/$1") || true
}

check() {
  [ -f "$1" ] || refuse "$1 is not a file." "Remove it; the next make up writes a new password."
  [ -r "$1" ] || refuse "$1 cannot be read by $(id -un)." "Run: chmod 644 $1"
  [ -s "$1" ] || refuse "$1 is empty." "Write the password into it; or remove it, and the next make up writes one."
  case $(LC_ALL=C tr -d '\n' <"$1") in
    *[!A-Za-z0-9._~-]*) refuse "$1 holds characters that the brokers' configuration would need quoted." \
      "Use letters, digits and . _ ~ - only." ;;
  esac
  chmod 644 "$1"
}

write() { # FILE FUNCTION
  local text
  text=$("$2")
  [ "$(cat "$SECRETS_DIR/$1" 2>/dev/null)" = "$text" ] || (umask 022 && printf '%s\n' "$text" >"$SECRETS_DIR/$1")
  chmod 644 "$SECRETS_DIR/$1"
}

password() { tr -d '\n' <"$SECRETS_DIR/$1_password"; }

# Redis: everything that tasks need, nothing that administers the server. `default`, as whom nobody can log in, needs
# its rights because Redis reads its append-only file in that name: without them it leaves out every transaction and
# every script with two writes, and says so in its log only. The health check has a user who may do nothing but PING.
redis_users() {
  echo "user default off resetpass ~* &* +@all"
  echo "user health on nopass resetkeys resetchannels -@all +ping"
  echo "user celery on >$(password redis) ~* &* +@all -@admin -@dangerous +info"
}

rabbitmq_conf() { echo "default_pass = $(password rabbitmq)"; }

main
