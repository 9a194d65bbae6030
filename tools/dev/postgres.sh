# Private Postgres clusters of this checkout: `postgres` for ./dev run, `postgres-test` for ./dev test.
# What a cluster is (data directory, port, passwords) is remembered in .local/<name>.env, readable by its owner only.
# shellcheck shell=bash disable=SC2034 # dev reads the variables

ensure_postgres() {
  find_postgres || {
    apt_install postgresql
    find_postgres || die "No Postgres server of version 15 or newer was found, not even after installing 'postgresql'"
  }
  ensure_pgvector
}

# Sets PGBIN to the newest server's binaries.
find_postgres() {
  local dir
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr) "$(pg_config --bindir 2>/dev/null || true)"; do
    if [ -x "$dir/initdb" ] && [ "$("$dir/postgres" --version | grep -oE '[0-9]+' | head -1)" -ge 15 ]; then
      PGBIN=$dir
      return
    fi
  done
  return 1
}

# A server refuses to run as root: root runs it as the user the package made for it.
as_server() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

# cluster NAME FIRST_PORT: makes and starts it; afterwards PG_DATA, PG_PORT, PG_ADMIN_PASSWORD, PG_PASSWORD, PG_URL are set.
cluster() {
  exec 9>"$LOCAL/$1.lock"
  flock 9
  load_cluster "$1" || create_cluster "$1" "$2"
  cluster_running || start_cluster "$1" "$2"
  exec 9>&-
}

load_cluster() {
  [ -f "$LOCAL/$1.env" ] || return 1
  # shellcheck source=/dev/null
  . "$LOCAL/$1.env"
  as_server test -f "$PG_DATA/PG_VERSION" || return 1
  [ "$(as_server cat "$PG_DATA/PG_VERSION")" = "$("$PGBIN/postgres" --version | grep -oE '[0-9]+' | head -1)" ] ||
    die "$PG_DATA belongs to another version of Postgres. Remove it with: ./dev db reset"
  PG_URL="Host=127.0.0.1;Port=$PG_PORT;Username=agentplatform;Password=$PG_PASSWORD;Database=agentplatform"
}

create_cluster() {
  local pwfile
  say "Creating the Postgres cluster '$1'"
  PG_DATA=$(data_directory "$1")
  PG_PORT=$(free_port "$2")
  PG_ADMIN_PASSWORD=$(random_secret)
  PG_PASSWORD=$(random_secret)
  pwfile=$(as_server mktemp)
  echo "$PG_ADMIN_PASSWORD" | as_server tee "$pwfile" >/dev/null
  as_server "$PGBIN/initdb" -D "$PG_DATA" -U postgres -A scram-sha-256 --pwfile="$pwfile" -E UTF8 --locale=C.UTF-8 >"$LOCAL/initdb.log" 2>&1 ||
    die "initdb failed; see $LOCAL/initdb.log"
  as_server rm -f "$pwfile"
  cluster_settings "$1" | as_server tee -a "$PG_DATA/postgresql.conf" >/dev/null
  remember_cluster "$1"
  start_cluster "$1" "$2"
  admin_sql template1 -c 'CREATE EXTENSION vector' -c 'CREATE EXTENSION pgcrypto'
  admin_sql template1 -c "CREATE ROLE agentplatform LOGIN CREATEDB CREATEROLE PASSWORD '$PG_PASSWORD'" \
    -c 'CREATE DATABASE agentplatform OWNER agentplatform'
}

# Inside the checkout when the server's user can reach it there, else in that user's own state directory.
data_directory() {
  local inside="$LOCAL/$1"
  as_root rm -rf "$inside"
  if [ "$(id -u)" = 0 ]; then
    as_root install -d -o postgres -m 700 "$inside"
    if ! as_server test -w "$inside"; then
      rmdir "$inside"
      inside="/var/lib/agentplatform/$(cksum <<<"$LOCAL" | cut -d' ' -f1)/$1"
      install -d -m 755 "$(dirname "$inside")"
      install -d -o postgres -m 700 "$inside"
    fi
  fi
  echo "$inside"
}

cluster_settings() {
  echo "listen_addresses = '127.0.0.1'"
  echo "unix_socket_directories = ''"
  echo "timezone = 'UTC'"
  # One host's pool may hold a hundred connections, and two hosts may share a database.
  [ "$1" = postgres-test ] || {
    echo "max_connections = 250"
    # A checkpoint makes what comes after it dearer for a while: none is to fall into one round of a bench and not into the next.
    [ "$1" != postgres-bench ] || printf '%s\n' 'max_wal_size = 16GB' 'checkpoint_timeout = 1h'
    return
  }
  printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'max_connections = 500' \
    'max_wal_size = 4GB' 'shared_buffers = 256MB' 'max_locks_per_transaction = 256'
}

remember_cluster() {
  (
    umask 077
    printf 'PG_DATA=%q\nPG_PORT=%q\nPG_ADMIN_PASSWORD=%q\nPG_PASSWORD=%q\n' \
      "$PG_DATA" "$PG_PORT" "$PG_ADMIN_PASSWORD" "$PG_PASSWORD" >"$LOCAL/$1.env"
  )
  PG_URL="Host=127.0.0.1;Port=$PG_PORT;Username=agentplatform;Password=$PG_PASSWORD;Database=agentplatform"
}

cluster_running() { as_server "$PGBIN/pg_ctl" -D "$PG_DATA" status >/dev/null 2>&1; }

start_cluster() {
  cluster_running && return
  if (: <"/dev/tcp/127.0.0.1/$PG_PORT") 2>/dev/null; then
    PG_PORT=$(free_port "$2") # something else took the remembered port while the cluster was down
    remember_cluster "$1"
  fi
  as_server "$PGBIN/pg_ctl" -D "$PG_DATA" -o "-p $PG_PORT" -l "$PG_DATA/server.log" -w -t 60 start >/dev/null 9>&- ||
    die "Postgres did not start; see $PG_DATA/server.log"
  STARTED_CLUSTERS="${STARTED_CLUSTERS:-} $1"
}

stop_cluster() {
  load_cluster "$1" || return 0
  ! cluster_running || as_server "$PGBIN/pg_ctl" -D "$PG_DATA" -m fast -w stop >/dev/null
}

# Leaves no server behind that this run of ./dev has started.
stop_started_clusters() {
  local name
  for name in ${STARTED_CLUSTERS:-}; do stop_cluster "$name"; done
  STARTED_CLUSTERS=
}

remove_cluster() {
  [ -f "$LOCAL/$1.env" ] || return 0
  # shellcheck source=/dev/null
  . "$LOCAL/$1.env"
  ! cluster_running || as_server "$PGBIN/pg_ctl" -D "$PG_DATA" -m immediate -w stop >/dev/null
  as_root rm -rf "$PG_DATA"
  rm -f "$LOCAL/$1.env"
}

admin_sql() {
  PGPASSWORD=$PG_ADMIN_PASSWORD "$PGBIN/psql" -qX -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PG_PORT" -U postgres "$@"
}
