# shellcheck shell=bash
# A release below PREFIX: the code of this checkout, beside the ones before it, and its packages. Sourced after settings.sh.
# shellcheck disable=SC2154  # settings.sh sets them

# Sets `release` and `before`, and puts the new one beside the old; nothing uses it yet.
make_release() {
  packages=app
  ! grep -qs '^TRACING_URL=.' "$config/celery.env" || packages=tracing
  release=$prefix/releases/$(cd "$source" && fingerprint app celery_runtime queues.toml requirements/{$packages,exporter}.txt deploy/systemd)
  before=$(readlink "$root$prefix/current" || true)
  install_release
}

use_release() {
  [ -z "$before" ] || [ "$before" = "$release" ] || ln -sfn "$before" "$root$prefix/previous"
  ln -sfn "$release" "$root$prefix/current"
}

fingerprint() { # PATH...: 12 digits that change with any file
  find "$@" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12
}

install_release() {
  local target=$root$release venv exporter
  [ ! -e "$target/complete" ] || return 0
  venv=$(install_venv $packages) exporter=$(install_venv exporter --ignore-requires-python)
  rm -rf "$target" && mkdir -p "$target/docs"
  cp -r "$source"/{app,celery_runtime,queues.toml} "$target/"
  find "$target" -name __pycache__ -prune -exec rm -r {} +
  cp "$source/deploy/images/exporter/entry.py" "$target/"
  cp "$source/docs/systemd.md" "$target/docs/"
  # By full paths: a running process keeps its release, wherever `current` points meanwhile.
  printf '#!/bin/sh\nexec %s -m "$@"\n' "$venv/bin/python" >"$target/run"
  printf '#!/bin/sh\nexec %s %s/entry.py "$@"\n' "$exporter/bin/python" "$release" >"$target/run-exporter"
  chmod 755 "$target/run" "$target/run-exporter"
  "$root$venv/bin/python" -m compileall -q "$target"
  chmod -R a+rX,go-w "$root$prefix"
  touch "$target/complete"
}

install_venv() { # NAME [OPTION OF PIP]: prints the folder of the environment that requirements/NAME.txt describes
  local lock=$source/requirements/$1.txt
  local venv python
  venv=$prefix/venvs/$1-$(sha256sum <"$lock" | cut -c1-12)
  echo "$venv"
  [ ! -e "$root$venv/complete" ] || return 0
  say "Python: installing $1's packages into $venv"
  rm -rf "$root$venv"
  python=$("$source/deploy/hosts/python.sh")
  case $(readlink -f "$python") in
    /root/* | /home/*) refuse "$python is in a home, which the units cannot read." "Name another: PYTHON=/usr/bin/python3" ;;
  esac
  "$python" -m venv "$root$venv" >&2
  "$root$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: "${@:2}" -r "$lock" >&2
  # An image is made under another root than it runs with.
  [ -z "$root" ] || grep -rlIZ "$root$prefix" "$root$venv/bin" "$root$venv/pyvenv.cfg" | xargs -0 sed -i "s|$root$prefix|$prefix|g"
  touch "$root$venv/complete"
}

# 32 characters of 62, 190 bits, for each password that is missing; what exists stays.
make_passwords() {
  local name
  for name in redis rabbitmq postgres flower; do
    [ -s "$config/credentials/${name}_password" ] ||
      (umask 077 && LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom 2>/dev/null | head -c 32 >"$config/credentials/${name}_password") || true
  done
}

remove_old_releases() { # all but this one and the one before, to which one may go back
  local folder previous
  previous=$root$(readlink "$root$prefix/previous" || true)
  for folder in "$root$prefix"/releases/*; do
    case $folder in "$root$release" | "$previous") ;; *) rm -r "$folder" ;; esac
  done
  for folder in "$root$prefix"/venvs/*; do
    grep -qsF "${folder#"$root"}/" "$root$prefix"/releases/*/run* || rm -r "$folder"
  done
}
