#!/bin/bash
# Makes the database at first start, as the published image does, and becomes the server.
# POSTGRES_PASSWORD has to be there; POSTGRES_USER is `postgres` and POSTGRES_DB the user's name if they are not.
set -eu
user="${POSTGRES_USER:-postgres}"
database="${POSTGRES_DB:-$user}"
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?has to be set to make a database}"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  initdb --pgdata "$PGDATA" --username "$user" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") \
    --auth-local trust --auth-host scram-sha-256 --encoding UTF8
  printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >> "$PGDATA/postgresql.conf"
  if [ "$database" != postgres ]; then
    pg_ctl --pgdata "$PGDATA" --wait --silent --options "-c listen_addresses=''" start
    createdb --username "$user" --maintenance-db postgres "$database"
    pg_ctl --pgdata "$PGDATA" --wait --silent --mode fast stop
  fi
fi
exec "$@"
