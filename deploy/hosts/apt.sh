# shellcheck shell=bash
# apt on a Debian host, sourced by the scripts that install something. Mirrors are always the host's own.

# Tells the person what happens now; standard output stays free for results.
say() { printf '%s\n' "$*" >&2; }

# Prints the major version of a Debian host (12, 13); nothing on any other system.
debian_version() {
  [ -r /etc/os-release ] || return 0
  (. /etc/os-release && [ "${ID:-}" = debian ] && printf '%s' "${VERSION_ID:-}") || true
}

debian_codename() { (. /etc/os-release && printf '%s' "$VERSION_CODENAME"); }

can_install() { [ "$(id -u)" = 0 ] && case "$(debian_version)" in 12 | 13) true ;; *) false ;; esac; }

# Runs a command quietly; when it fails, shows the end of what it said.
quietly() {
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then rm -f "$log"; return 0; fi
  say "This failed: $*"
  tail -n 15 "$log" >&2
  rm -f "$log"
  return 1
}

apt_update() { quietly apt-get -o Acquire::Retries=3 -q update; }

# apt_install PACKAGE...: nothing but the packages and what they depend on.
apt_install() {
  quietly env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -q -y \
    --no-install-recommends install "$@"
}

# Prints "URI CODENAME" for each of Debian's own archives that this host reads; nothing before a first apt-get update.
apt_archives() {
  # shellcheck disable=SC2016  # apt expands these, not the shell
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    awk -v own="$(debian_codename)" '$3 == "main" && ($2 == own || index($2, own "-") == 1) && !seen[$0]++ {print $1, $2}'
}

# apt_sources SUITE: the host's archives as sources of another Debian suite, one "deb" line each.
apt_sources() {
  apt_archives | awk -v own="$(debian_codename)" -v suite="$1" '{sub("^" own, suite, $2); print "deb", $1, $2, "main"}'
}

# apt_mirror: the one archive that holds the whole release.
apt_mirror() { apt_archives | awk -v own="$(debian_codename)" '$2 == own {print $1; exit}'; }

# apt_fetch SUITE FOLDER PACKAGE...: downloads packages of another suite; the host's own package lists stay as they are.
apt_fetch() {
  local suite=$1 folder=$2
  shift 2
  mkdir -p "$folder/lists/partial"
  apt_sources "$suite" >"$folder/sources.list"
  cat >"$folder/apt.conf" <<END
Dir::Etc::SourceList "$folder/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$folder/lists";
APT::Sandbox::User "root";
END
  (cd "$folder" && export APT_CONFIG=$folder/apt.conf && apt_update && quietly apt-get -q download "$@")
}
