#!/usr/bin/env bash
# The images that the integration and stack tiers need: those of `make up`, with both brokers.
set -euo pipefail
BROKER=rabbitmq exec "$(dirname "$0")/../deploy/compose/images.sh"
