#!/usr/bin/env bash
# readme: the SQL of README.md works as it stands, on an empty database, and says what the text below it says.
#
# Uses the server and the database that the environment names (scripts/test gives each test a database of its own).

set -u -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0
failed=0

check() { # what, seen, wanted
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n  seen:   %s\n  wanted: %s\n' "$1" "$2" "$3"
	fi
}

query() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1" 2>&1; }

blocks=$(sed -n '/^```sql$/,/^```$/{ /^```/d; p }' "$root/README.md")
check "README has SQL" "$([ "$(grep -c . <<<"$blocks")" -gt 20 ] && echo yes)" yes
output=$(psql -X -v ON_ERROR_STOP=1 -f - <<<"$blocks" 2>&1)
check "it runs without an error" "$? $(grep ERROR <<<"$output")" "0 "
[ $failed = 0 ] || printf '%s\n' "$output"

check "bill of account 42" "$(query 'SELECT recurring, usage, discount, tax, total FROM settle.bill WHERE account_id = 42')" \
	'2990|2250|-598|464|5106'
check "16 of 31 days" "$(query "SELECT days, amount FROM settle.bill_line WHERE account_id = 43 AND kind = 'recurring'")" '16|1543'
check "duplicate and parked rows" "$(query 'SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle.usage_load')" '4|2|1|1'
check "quote" "$(grep -cE '^ +22\.50*$' <<<"$output")" 1
check "events" "$(query 'SELECT string_agg(event_id, $$ $$ ORDER BY event_id) FROM settle.outbox')" \
	'bill/2024-05/42/0 bill/2024-05/43/0 run/2024-05/final/0/completed run/2024-05/final/0/released'

check "a dry run, as under Operating" "$(query "SELECT settle_run('2024-05', kind => 'dry')" | tail -n 1)" 2
check "settings are those of the table" \
	"$(query "LOAD 'settle'; SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings WHERE name LIKE 'settle.%'")" \
	"$(sed -n 's/^| `\(settle\.[a-z_]*\)` | .*/\1/p' "$root/README.md" | while read -r name; do
		grep -q "\"$name\"" "$root/src/guc.c" && echo "$name"; done | sort | paste -sd ' ')"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
