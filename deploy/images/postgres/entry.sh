#!/bin/sh
# Makes the database cluster at the first start, then becomes the server. Reads what the official image reads:
# POSTGRES_USER, POSTGRES_DB, and the password from POSTGRES_PASSWORD_FILE (or POSTGRES_PASSWORD).
set -eu

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

refuse() {
  printf 'postgres: %s\n' "$@" >&2
  exit 2
}

read_password() {
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE" 2>/dev/null) ||
      refuse "cannot read POSTGRES_PASSWORD_FILE=$POSTGRES_PASSWORD_FILE as uid $(id -u)." \
        "Mount the password's file there, readable for that user."
  fi
  password=${password:-${POSTGRES_PASSWORD:-}}
  [ -n "$password" ] || refuse "no password for the first start." "Set POSTGRES_PASSWORD_FILE to a file that is not empty."
}

# Inside the container the socket needs no password (health checks, psql by hand); everything over TCP does.
# Made beside the volume and copied, PG_VERSION last: a first start that is cut off is simply made again.
make_cluster() {
  read_password
  umask 077
  new=/tmp/new-cluster
  rm -rf "$new"
  printf '%s\n' "$password" >/tmp/password
  initdb --pgdata="$new" --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --no-sync
  echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\"" | postgres --single -j -D "$new" postgres
  fi
  mv "$new/PG_VERSION" /tmp/PG_VERSION
  cp -a "$new/." "$PGDATA/"
  sync
  cp /tmp/PG_VERSION "$PGDATA/"
  rm -rf "$new" /tmp/password /tmp/PG_VERSION
}

case "${1:-}" in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" = postgres ]; then
  [ -s "$PGDATA/PG_VERSION" ] || make_cluster
  shift
  set -- postgres -c listen_addresses='*' "$@"
fi
exec "$@"
