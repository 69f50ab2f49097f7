#!/usr/bin/env bash
# Hands this host's CA bundle, apt sources and pip settings to image builds as BuildKit secrets: they are needed
# to reach the package registries and must not end up in a layer.
#   deploy/images/settings.sh docker compose ... build     runs the command with them, then removes them
#   . deploy/images/settings.sh                            only sets BUILD_*_FILE; remove $BUILD_SETTINGS yourself
# A host without special settings gets empty files, which change nothing.
# shellcheck source=deploy/hosts/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/../hosts/apt.sh"

write_build_settings() {
  BUILD_SETTINGS=$(mktemp -d)
  export BUILD_CA_FILE=$BUILD_SETTINGS/ca BUILD_PIP_CONF_FILE=$BUILD_SETTINGS/pip
  export BUILD_APT_CONF_FILE=$BUILD_SETTINGS/apt_conf BUILD_APT_SOURCES_FILE=$BUILD_SETTINGS/apt_sources
  host_ca >"$BUILD_CA_FILE"
  host_pip_settings >"$BUILD_PIP_CONF_FILE"
  : >"$BUILD_APT_CONF_FILE"
  : >"$BUILD_APT_SOURCES_FILE"
  if [ -n "$(debian_version)" ]; then
    host_apt_settings >"$BUILD_APT_CONF_FILE"
    apt_sources trixie >"$BUILD_APT_SOURCES_FILE"
    if [ ! -s "$BUILD_APT_SOURCES_FILE" ] && can_install; then
      apt_update
      apt_sources trixie >"$BUILD_APT_SOURCES_FILE"
    fi
  fi
}

# The whole bundle, so that a company's own authority is in it wherever the host knows it.
host_ca() {
  local file
  for file in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" /etc/ssl/certs/ca-certificates.crt \
    /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -s "$file" ]; then cat "$file"; return; fi
  done
}

# Which index, through which proxy, how patiently: options that name files of this host would point nowhere in a build.
host_pip_settings() {
  echo "[global]"
  [ ! -s "$BUILD_CA_FILE" ] || echo "cert = /run/secrets/ca"
  python3 -m pip config list 2>/dev/null |
    sed -nE "s/^(:env:|global|install)\.(index-url|extra-index-url|trusted-host|proxy|timeout|default-timeout|retries)='(.*)'$/\2 = \3/p" |
    awk '{sub(/^default-/, "")} !seen[$1]++' || true
}

host_apt_settings() {
  [ ! -s "$BUILD_CA_FILE" ] || echo 'Acquire::https::CaInfo "/run/secrets/ca";'
  apt-config dump --no-empty | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries|ForceIPv4)' || true
}

write_build_settings
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  trap 'rm -rf "$BUILD_SETTINGS"' EXIT
  "$@"
fi
