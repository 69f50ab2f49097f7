# shellcheck shell=bash
# What the scripts of this folder have in common: where things are, and how they are said.
# shellcheck disable=SC2034  # for whoever sources it
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
prefix=/opt/celery-blueprint root=

say() { printf '%s\n' "$*" >&2; }

refuse() { # FAULT REMEDY
  say "$1"
  say "  $2"
  exit 2
}

read_options() { # [--prefix DIR] [--root DIR]
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix) prefix=${2:-} ;;
      --root) root=${2:-} && root=${root%/} ;;
      *) refuse "$1 is not an option of $0." "Use --prefix DIR and --root DIR." ;;
    esac
    shift $(($# > 1 ? 2 : 1))
  done
  case $prefix in
    /*[!A-Za-z0-9/._-]* | / | [!/]* | "") refuse "PREFIX = '$prefix' is not a folder that units can name." \
      "Use an absolute path of letters, digits and . _ - only: PREFIX=/opt/celery-blueprint" ;;
  esac
  case $prefix in
    /home/* | /root/*) refuse "PREFIX = '$prefix' is in a home, which the units cannot read." "Use a folder like /opt/celery-blueprint" ;;
  esac
  [ "$(id -u)" = 0 ] || refuse "Only root may change the units of this host." "Run it with sudo."
  config=$root/etc/celery-blueprint
  units=$root/etc/systemd/system
}

# Another root is an image, and in a container that is being built nothing runs either.
booted() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

if_booted() { if booted; then systemctl "$@"; fi; }

active() { if_booted list-units --plain --no-legend --state=active,activating "$@" | awk '{print $1}'; }
