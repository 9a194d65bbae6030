# Installs the pgvector extension for the Postgres server in $PGBIN.
# shellcheck shell=bash

ensure_pgvector() {
  local major control
  major=$("$PGBIN/postgres" --version | grep -oE '[0-9]+' | head -1)
  control="$("$PGBIN/pg_config" --sharedir)/extension/vector.control"
  [ -f "$control" ] && return
  if apt_has "postgresql-$major-pgvector"; then
    apt_install "postgresql-$major-pgvector"
  else
    build_pgvector "$major"
  fi
  [ -f "$control" ] || die "pgvector was installed, yet $control is missing"
}

# Debian 12 has no package: its server builds the next release's source package, found at the mirror apt already uses.
build_pgvector() {
  local major=$1 mirror work
  mirror=$(apt-get indextargets --format "\$(ORIGIN) \$(CODENAME) \$(COMPONENT) \$(REPO_URI)" 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "bookworm" && $3 == "main" { print $4; exit }')
  [ -n "$mirror" ] || die "There is no pgvector package for Postgres $major here: install one and run this again"
  apt_install build-essential dpkg-dev "postgresql-server-dev-$major"
  say "Building pgvector for Postgres $major (once, about 20 s)"
  work=$(mktemp -d)
  make_pgvector "$work" "$mirror" >"$LOCAL/pgvector.log" 2>&1 || die "pgvector could not be built; see $LOCAL/pgvector.log"
  rm -rf "$work"
}

# A private apt state: the machine's own package sources and lists stay as they are.
make_pgvector() (
  set -e
  cd "$1"
  mkdir -p lists/partial parts
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $2 trixie main" >sources.list
  apt=(-o "Dir::Etc::sourcelist=$1/sources.list" -o "Dir::Etc::sourceparts=$1/parts" -o "Dir::State::lists=$1/lists"
    -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= -o APT::Sandbox::User=)
  apt-get "${apt[@]}" update -q
  apt-get "${apt[@]}" source -q pgvector
  cd pgvector-*/
  make -j"$(nproc)" with_llvm=no OPTFLAGS= PG_CONFIG="$PGBIN/pg_config"
  as_root make install with_llvm=no OPTFLAGS= PG_CONFIG="$PGBIN/pg_config"
)
