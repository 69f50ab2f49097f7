#!/usr/bin/env bash
# Prints the path of a Python 3.11 or newer that can make virtual environments. PYTHON=/path/to/python3 chooses one.
# Root on Debian 12 or 13 gets one installed; anyone else is told what to install.
set -euo pipefail
# shellcheck source=deploy/hosts/apt.sh
. "$(dirname "$0")/apt.sh"

main() {
  if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" || refuse "PYTHON=$PYTHON is not a Python 3.11 or newer with the modules venv and ensurepip."
    return
  fi
  find_python && return
  can_install || refuse "No Python 3.11 or newer with the modules venv and ensurepip is installed here."
  say "Python: installing it from Debian's packages"
  apt_update
  apt_install python3 python3-venv
  usable /usr/bin/python3 || refuse "Debian's Python was installed and still cannot make virtual environments."
}

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
    usable "$name" && return
  done
  return 1
}

# Prints the program's own path, so that a shim of a version manager costs nothing later.
usable() {
  command -v "$1" >/dev/null &&
    "$1" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print(sys.executable)' 2>/dev/null
}

refuse() {
  say "$1"
  say "  Install it (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python) or set PYTHON to one."
  exit 2
}

main
