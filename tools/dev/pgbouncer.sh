# PgBouncer, which the tests and ./dev chaos put before a Postgres of their own.
# shellcheck shell=bash

ensure_pgbouncer() {
  find_pgbouncer || {
    apt_install pgbouncer
    find_pgbouncer || die "PgBouncer is needed; installing the package 'pgbouncer' did not bring it"
  }
  export AGENTPLATFORM_PGBOUNCER
}

# Debian puts it where only root's path looks.
find_pgbouncer() {
  AGENTPLATFORM_PGBOUNCER=$(command -v pgbouncer || command -v /usr/sbin/pgbouncer) || return 1
}
