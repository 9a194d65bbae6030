# Shared by the scripts of ./dev: messages, root rights, apt, free ports.
# shellcheck shell=bash

say() { colour 36 "$*"; }
die() {
  colour 31 "$*"
  exit 1
}
colour() { if [ -t 2 ]; then printf '\033[%sm%s\033[0m\n' "$1" "$2" >&2; else echo "$2" >&2; fi; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    have sudo || die "Root rights are needed to run: $* (sudo is not installed)"
    sudo "$@"
  fi
}

# Installs Debian or Ubuntu packages; the package lists are refreshed only when they are needed.
apt_install() {
  have apt-get || die "Please install these by hand, this machine has no apt: $*"
  say "Installing $*"
  install_quietly "$@" >"$LOCAL/apt.log" 2>&1 && return
  as_root apt-get update -q >>"$LOCAL/apt.log" 2>&1 || true
  install_quietly "$@" >>"$LOCAL/apt.log" 2>&1 || die "apt could not install $*; see $LOCAL/apt.log"
}

install_quietly() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# True when apt can install a package of that name, asking the network only when the lists do not know it.
apt_has() {
  have apt-get || return 1
  apt_candidate "$1" && return
  [ -n "${APT_UPDATED:-}" ] || as_root apt-get update -q >"$LOCAL/apt.log" 2>&1 || true
  APT_UPDATED=1
  apt_candidate "$1"
}

apt_candidate() { apt-cache policy "$1" 2>/dev/null | grep -qE 'Candidate: [0-9]'; }

# The first port from $1 on that nothing listens at.
free_port() {
  local port
  for port in $(seq "$1" $(($1 + 200))); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || {
      echo "$port"
      return
    }
  done
  die "No free port between $1 and $(($1 + 200))"
}

random_secret() { od -An -N18 -tx1 /dev/urandom | tr -d ' \n'; }
