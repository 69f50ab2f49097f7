#!/usr/bin/env bash
# base.sh: makes the two images that every build without a registry starts from: Debian 13 and, on it, Python 3.13.
# Both must exist before `docker compose build`, which builds everything else in any order.
# Says nothing and is quick when they are there. base.sh bookworm: makes that Debian's image alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/hosts/apt.sh
. "$here/../hosts/apt.sh"

SUITE=${1:-trixie}
DEBIAN=celery-blueprint/debian:$SUITE
PYTHON=celery-blueprint/python:trixie

main() {
  present "$DEBIAN" || make_debian
  [ "$SUITE" != trixie ] || present "$PYTHON" || make_python
}

present() { docker image inspect "$1" >/dev/null 2>&1; }

make_debian() {
  can_install || refuse
  say "Images: making $DEBIAN from Debian's packages (about half a minute)"
  apt_update
  apt_install mmdebstrap debian-archive-keyring
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  quietly bootstrap "$work/root.tar"
  docker import --change 'LABEL celery-blueprint.built=1' --change 'CMD ["bash"]' "$work/root.tar" "$DEBIAN" >/dev/null
  rm -rf "$work"
}

# The sources of the host's mirror serve this build only; settings.sh hands them to each later one.
bootstrap() {
  # shellcheck disable=SC2016  # the hook's shell expands it
  apt_sources "$SUITE" | mmdebstrap --variant=minbase --dpkgopt="$here/dpkg-slim.conf" \
    --customize-hook='rm "$1/etc/apt/sources.list"' "$SUITE" "$1" -
}

make_python() {
  say "Images: making $PYTHON"
  # shellcheck source=deploy/images/settings.sh
  . "$here/settings.sh"
  trap 'rm -rf "$BUILD_SETTINGS"' EXIT
  quietly docker buildx build --load --tag "$PYTHON" --target python \
    --secret id=ca,src="$BUILD_CA_FILE" --secret id=apt_conf,src="$BUILD_APT_CONF_FILE" \
    --secret id=apt_sources,src="$BUILD_APT_SOURCES_FILE" --file "$here/Dockerfile" "$here/../.."
}

refuse() {
  say "No image registry answers, and $DEBIAN can only be made here by root on Debian 12 or 13."
  say "  If a registry does answer, only slowly: IMAGES=registry make up"
  say "  On a machine with a registry: docker pull debian:trixie-slim && docker save debian:trixie-slim >debian.tar"
  say "  Here: docker load <debian.tar && docker tag debian:trixie-slim $DEBIAN   and run this again."
  exit 2
}

main
