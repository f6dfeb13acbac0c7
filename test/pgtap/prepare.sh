#!/bin/sh
# Prepares the database that the libpq environment names for invariants.sql: an invented operator, one month settled.
# usage: prepare.sh [accounts]    then: pg_prove test/pgtap/invariants.sql
set -eu
here=$(cd "$(dirname "$0")" && pwd)

psql -XAtq -v ON_ERROR_STOP=1 <<SQL
CREATE EXTENSION settle;
CREATE EXTENSION pgtap;
DO \$\$ BEGIN PERFORM settle_init(4); END \$\$;
SQL
"$here/../../bench/generate" --accounts "${1:-20000}" --period 2024-05 --quiet
PGOPTIONS='-c client_min_messages=warning' psql -XAtq -v ON_ERROR_STOP=1 -c "SELECT settle_run('2024-05', chunk_size => 1000)" >/dev/null
