#!/usr/bin/env bash
# trial.sh: everything on one Debian, to try it: PostgreSQL and the broker from the distribution, with the passwords
# that install.sh made, and stand-ins for the mail server and the AI that you rent. Run it after install.sh, any number of times.
set -euo pipefail
. "$(dirname "$0")/settings.sh"
# shellcheck source=deploy/hosts/apt.sh
. "$here/../hosts/apt.sh"

main() {
  read_options "$@"
  [ -e "$config/celery.env" ] || refuse "$config/celery.env is missing." "Install first: make systemd-install"
  install_servers
  set_up_postgres
  set_up_redis
  set_up_rabbitmq
  for unit in "$here"/trial/*.service; do sed "s|/opt/celery-blueprint|$prefix|g" "$unit" >"$units/$(basename "$unit")"; done
  systemctl daemon-reload
  systemctl --quiet enable celery-mail.service celery-ai.service
  say "Ready to be tried: systemctl start celery.target"
}

install_servers() {
  local packages=(postgresql redis-server)
  [ "$(broker)" = redis ] || packages+=(rabbitmq-server)
  ! dpkg --status "${packages[@]}" >/dev/null 2>&1 || return 0
  can_install || refuse "Not all of these are installed here: ${packages[*]}" "Install them, or name yours in $config/celery.env"
  say "Servers: installing ${packages[*]} from Debian's packages"
  apt_update
  apt_install "${packages[@]}"
}

broker() { sed -n 's/^BROKER=//p' "$config/celery.env"; }

password() { cat "$config/credentials/$1_password"; }

set_up_postgres() {
  systemctl --quiet enable --now postgresql.service
  # Through standard input: a command line is readable by every user of the host.
  runuser -u postgres -- psql --quiet --set ON_ERROR_STOP=1 <<END
DO \$\$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;
ALTER ROLE app PASSWORD '$(password postgres)';
SELECT 'CREATE DATABASE app OWNER app TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8''' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'app') \gexec
END
}

# The users are those of the Compose stack (deploy/compose/secrets.sh says why). Every write is synced within a second.
set_up_redis() {
  (umask 027 && cat >/etc/redis/celery.conf) <<END
user default off resetpass ~* &* +@all
user celery on >$(password redis) ~* &* +@all -@admin -@dangerous +info
appendonly yes
maxmemory-policy noeviction
END
  chgrp redis /etc/redis/celery.conf
  grep -q '^include /etc/redis/celery.conf' /etc/redis/redis.conf || echo 'include /etc/redis/celery.conf' >>/etc/redis/redis.conf
  systemctl --quiet enable redis-server.service
  systemctl restart redis-server.service
}

# A user in a file of definitions, which each start of the server reads: rabbitmqctl takes passwords on its command line,
# which every user of the host can read, and RabbitMQ 4.0's waits for ever for one on standard input.
set_up_rabbitmq() {
  [ "$(broker)" = rabbitmq ] || return 0
  (umask 027 && rabbitmq_definitions >/etc/rabbitmq/celery.json)
  chgrp rabbitmq /etc/rabbitmq/celery.json
  # Milliseconds; longer than any task may run (deploy/compose/config/rabbitmq.conf).
  cat >/etc/rabbitmq/rabbitmq.conf <<END
listeners.tcp.1 = 127.0.0.1:5672
consumer_timeout = 90000000
load_definitions = /etc/rabbitmq/celery.json
END
  systemctl --quiet enable rabbitmq-server.service
  systemctl restart rabbitmq-server.service
  # grep reads to the end: one that stops early would end rabbitmqctl with an error.
  ! rabbitmqctl -q list_users | grep '^guest\b' >/dev/null || rabbitmqctl -q delete_user guest
}

rabbitmq_definitions() {
  local own='^(amq[.]default|(?!amq[.]))'
  cat <<END
{"vhosts": [{"name": "celery"}],
 "users": [{"name": "celery", "password_hash": "$(hashed rabbitmq)",
   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}],
 "permissions": [{"user": "celery", "vhost": "celery", "configure": "^(?!amq[.])", "write": "$own", "read": "$own"}]}
END
}

# RabbitMQ's own: base64 of four random bytes and the SHA-256 of them and the password.
hashed() {
  password "$1" | python3 -c 'import base64, hashlib, os, sys
salt = os.urandom(4)
print(base64.b64encode(salt + hashlib.sha256(salt + sys.stdin.buffer.read().strip()).digest()).decode())'
}

main "$@"
