#!/usr/bin/env bash
# image.sh CHECKOUT TAG STAGE SUITE SETTINGS: a stage of the Dockerfile on a Debian of that suite.
# SETTINGS is a folder: what its hosts need to reach this one's package registries is left there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
images=$here/../../deploy/images
checkout=$1 tag=$2 stage=$3 suite=$4 settings=$5
debian=celery-blueprint/debian:$suite
# shellcheck source=deploy/images/settings.sh
. "$images/settings.sh"
trap 'rm -rf "$BUILD_SETTINGS"' EXIT
if ! docker image inspect "$debian" >/dev/null 2>&1; then
  if can_install; then
    "$images/base.sh" "$suite"
  else
    docker pull --quiet "debian:$suite-slim" && docker tag "debian:$suite-slim" "$debian"
  fi
fi
[ -z "$(debian_version)" ] || apt_sources "$suite" >"$BUILD_APT_SOURCES_FILE"
mkdir -p "$settings" && cp "$BUILD_SETTINGS"/* "$settings/"
docker buildx build --progress plain --load --tag "$tag" --build-arg DEBIAN_IMAGE="$debian" \
  --secret id=ca,src="$BUILD_CA_FILE" --secret id=apt_conf,src="$BUILD_APT_CONF_FILE" \
  --secret id=apt_sources,src="$BUILD_APT_SOURCES_FILE" --secret id=pip,src="$BUILD_PIP_CONF_FILE" \
  --target "$stage" --file "$here/Dockerfile" "$checkout"
