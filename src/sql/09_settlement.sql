-- ------------------------------------------------------------------------------------------------------------------
-- 9 Settlement
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.bucket(account_id bigint, buckets integer) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_bucket';
COMMENT ON FUNCTION settle.bucket(bigint, integer) IS 'bucket of an account among so many: the remainder that PostgreSQL''s hash partitioning gives it';

CREATE FUNCTION settle_bucket(account_id bigint) RETURNS integer
	LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, settle, pg_temp
	AS $$ SELECT settle.bucket(account_id, settle.bucket_count()) $$;
COMMENT ON FUNCTION settle_bucket(bigint) IS 'bucket of an account, 0 … buckets − 1';

CREATE FUNCTION settle.set_bulk_origin(hide boolean) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_set_bulk_origin';
COMMENT ON FUNCTION settle.set_bulk_origin(boolean) IS 'whether rows written from now on in this transaction are dropped by settle''s output plugin before logical decoding queues them; reset at its end. For a superuser or the owner of settle';

CREATE FUNCTION settle.ignored_accounts(month date, bucket integer DEFAULT NULL) RETURNS SETOF bigint
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT skip.account_id FROM (
		SELECT DISTINCT ON (e.account_id) e.account_id, e.status
		FROM settle.run AS r JOIN settle.run_error AS e USING (run_id)
		WHERE r.period = month AND e.severity = 'error' AND (bucket IS NULL OR e.slice = bucket)
		ORDER BY e.account_id, e.error_id DESC) AS skip
	WHERE skip.status = 'ignored';
END;
COMMENT ON FUNCTION settle.ignored_accounts(date, integer) IS 'accounts of a bucket (NULL: of all) whose newest skip of the month is marked ignored; runs leave them out unless they are named in accounts';

CREATE FUNCTION settle.usage_digest(subscription_id bigint, metric_id integer, occurred_at timestamptz, quantity bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_usage_digest';
COMMENT ON FUNCTION settle.usage_digest(bigint, integer, timestamptz, bigint) IS 'digest of one usage row; bill.usage_digest is their sum modulo 2^64';

CREATE FUNCTION settle.group_size(group_sizes bytea, group_id bigint) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_group_size';
COMMENT ON FUNCTION settle.group_size(bytea, bigint) IS 'members of a group as frozen in run.group_sizes; NULL when the group did not exist';

CREATE FUNCTION settle.run_group_size(run_id bigint, group_id bigint) RETURNS integer
	LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, settle, pg_temp
	AS $$ SELECT settle.group_size(run.group_sizes, $2) FROM settle.run WHERE run.run_id = $1 $$;
COMMENT ON FUNCTION settle.run_group_size(bigint, bigint) IS 'members of a group when the run was created; NULL when the group did not exist';

CREATE FUNCTION settle.reasons(OUT code text, OUT class text, OUT severity text, OUT help text) RETURNS SETOF record
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_reasons';
COMMENT ON FUNCTION settle.reasons() IS 'rows of the view settle.reason';

CREATE FUNCTION settle.try_bigint(value text) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_try_bigint';
COMMENT ON FUNCTION settle.try_bigint(text) IS 'the text as a whole number; NULL when it is none';

CREATE FUNCTION settle.try_timestamptz(value text) RETURNS timestamptz
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_try_timestamptz';
COMMENT ON FUNCTION settle.try_timestamptz(text) IS 'the text as a point in time, in the session''s time zone when it names none; NULL when it is none';

-- {"KRW": 5} + {"KRW": 1, "USD": 2} = {"KRW": 6, "USD": 2}
CREATE FUNCTION settle.add_totals(jsonb, jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, settle, pg_temp
	AS $$
	SELECT coalesce(jsonb_object_agg(key, total), '{}')
	FROM (SELECT key, sum(value::numeric) AS total
		FROM (SELECT * FROM jsonb_each_text($1) UNION ALL SELECT * FROM jsonb_each_text($2)) AS both_sides
		GROUP BY key) AS summed
	$$;
COMMENT ON FUNCTION settle.add_totals(jsonb, jsonb) IS 'sum of two objects currency → minor units';

CREATE AGGREGATE settle.sum_totals(jsonb) (SFUNC = settle.add_totals, STYPE = jsonb, INITCOND = '{}', PARALLEL = SAFE);
COMMENT ON AGGREGATE settle.sum_totals(jsonb) IS 'sum of objects currency → minor units';

CREATE FUNCTION settle_run(
	period text DEFAULT NULL,
	kind text DEFAULT 'final',
	workers integer DEFAULT NULL,
	chunk_size integer DEFAULT NULL,
	skip_limit bigint DEFAULT NULL,
	accounts bigint[] DEFAULT NULL,
	release text DEFAULT NULL,
	wait boolean DEFAULT true,
	force boolean DEFAULT false,
	command_id uuid DEFAULT NULL
) RETURNS bigint
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'settle_run';
COMMENT ON FUNCTION settle_run(text, text, integer, integer, bigint, bigint[], text, boolean, boolean, uuid) IS
'settles a month and returns the run''s id; called again for a run that stopped, failed or crashed, goes on where it was, and tries what was skipped again.
period: YYYY-MM (default: last month in settle.time_zone). kind: final = every due account without a bill, retry = the same after a completed final run, dry = rate all and write no bill.
workers: processes, the leader included (default settle.workers). chunk_size: accounts per transaction (default settle.chunk_size).
skip_limit: fails, resumable, when more accounts are skipped (default settle.skip_limit). accounts: only these (a pilot); one that does not exist is skipped with UNKNOWN_ACCOUNT.
release: auto (default) = customers may hear of it at completion, manual = after settle_release(). wait: false returns at once.
force: resume under a changed catalogue, or settle a month that is not over. command_id: a repeat returns the run of the first call and does nothing. Going on with a run, what is given replaces what the run was started with.
Errors: 22023 bad argument, 25001 called in a transaction that has written, 53400 no worker slot, ST001 being settled, ST002 settled already, ST003 month not open, ST004 catalogue empty, ST005 catalogue changed, ST006 stopped, ST007 skip limit, ST009 abandoned meanwhile, or nothing to retry, ST010 settle_init() missing, ST012 command id used otherwise';

CREATE FUNCTION settle_quote(charge jsonb, quantity bigint, rows bigint DEFAULT 1) RETURNS numeric
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_quote';
COMMENT ON FUNCTION settle_quote(jsonb, bigint, bigint) IS
'exact, unrounded price of a month''s quantity under one charge, in major units, by the code that settles.
charge: {"model": per_unit|graduated|volume|package|unlimited, "unit_amount", "event_amount" (per row), "included", "package_size", "package_round": up|down, "tiers": [{"up_to", "unit_amount", "flat_amount"}], "minimum", "maximum", "zero_flat"}; amounts as numbers or strings.
Errors: 22023 unknown key, wrong type or unusable charge, 22003 out of range';

CREATE FUNCTION settle_preview(
	account_id bigint, period text,
	OUT line_no integer, OUT kind settle.line_kind, OUT name text, OUT product_id integer, OUT subscription_id bigint,
	OUT metric_id integer, OUT discount_id integer, OUT adjustment_id bigint, OUT quantity bigint, OUT days smallint,
	OUT amount bigint, OUT discounted bigint
) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, settle, pg_temp
	AS 'MODULE_PATHNAME', 'settle_preview';
COMMENT ON FUNCTION settle_preview(bigint, text) IS 'the bill lines a run would write for an account now, with group sizes counted now; no row when there is nothing to charge. Errors: 22000 the account would be skipped, and those of settle_run()';
