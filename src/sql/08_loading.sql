-- ------------------------------------------------------------------------------------------------------------------
-- 8 Loading usage
--
-- settle_ingest() runs with the rights of its caller, on purpose: the staging table is the caller's, and its triggers,
-- rules, row security and casts are code of the caller. As SECURITY DEFINER that code would run as the owner of settle.
-- It needs the rights that settle_operator has anyway: INSERT on usage, usage_load and usage_parked. That code cannot hide
-- rows from logical decoding either: only the rows of usage are hidden, see src/store/ingest.c. settle_unload()
-- touches tables of settle only, so it can run as the owner, and no operator needs to write who took a load back.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.staging_number(type regtype, expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN expression || '::bigint'
	WHEN type = 'numeric'::regtype THEN 'settle.try_bigint(trim_scale(' || expression || ')::text)'
	ELSE 'settle.try_bigint(' || expression || '::text)'
END;
COMMENT ON FUNCTION settle.staging_number(regtype, text) IS 'SQL that reads a column of that type as a whole number, NULL when it is none';

CREATE FUNCTION settle.staging_query(staging regclass, by_block boolean) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	-- name → type, for the columns that mean something here
	types CONSTANT jsonb := (SELECT coalesce(jsonb_object_agg(attname, atttypid), '{}') FROM pg_attribute
		WHERE attrelid = staging AND attnum > 0 AND NOT attisdropped AND attname IN
			('account_id', 'subscription_id', 'metric', 'metric_id', 'occurred_at', 'quantity', 'event_id'));
	missing CONSTANT text := (SELECT string_agg(quote_ident(name), ', ')
		FROM unnest(ARRAY['account_id', 'occurred_at', 'quantity']) AS name WHERE NOT types ? name);
	number CONSTANT jsonb := (SELECT jsonb_object_agg(name, settle.staging_number(type::oid::regtype, 'staging_row.' || name))
		FROM jsonb_each_text(types) AS t (name, type));
	metric CONSTANT text := CASE WHEN types ? 'metric' THEN 'nullif(staging_row.metric::text, '''')' END;
	metric_id CONSTANT text := CASE WHEN types ? 'metric_id' THEN 'nullif(staging_row.metric_id::text, '''')' END;
BEGIN
	IF missing IS NOT NULL OR metric IS NULL AND metric_id IS NULL THEN
		RAISE EXCEPTION 'staging table % has no column %', staging, coalesce(missing, 'metric or metric_id')
			USING ERRCODE = 'undefined_column',
				HINT = 'It needs account_id, occurred_at, quantity and metric (or metric_id); it may have subscription_id, event_id.';
	END IF;

	-- One statement takes the rows, judges each once, parks the bad and returns the good; OFFSET 0 keeps the planner from reading a
	-- value again wherever it is used. A time whose year has not four digits in every zone has no month. Messages quote
	-- at most 60 characters of what was staged.
	RETURN format($query$
		WITH taken AS (
			DELETE FROM %1$s AS staging_row %2$s RETURNING staging_row.*
		), value AS (
			SELECT CAST(staging_row.* AS record) AS staged, %3$s AS account_id, %4$s AS subscription_id, %5$s AS occurred_at, %6$s AS quantity,
				%7$s AS metric, m.metric_id, %8$s AS event_id
			FROM taken AS staging_row LEFT JOIN settle.metric AS m ON %9$s
			OFFSET 0
		), dated AS (
			SELECT *, CASE WHEN occurred_at >= '0001-01-02 UTC' AND occurred_at < '9999-12-31 UTC'
				THEN date_trunc('month', occurred_at AT TIME ZONE $2)::date END AS period
			FROM value
			OFFSET 0
		), judged AS (
			SELECT *, CASE
				WHEN account_id IS NULL THEN ARRAY['MALFORMED',
					'account_id ' || coalesce(left(nullif(to_jsonb(staged) ->> 'account_id', ''), 60) || ' is not a whole number', 'is missing')]
				WHEN subscription_id IS NULL OR subscription_id < 0 THEN ARRAY['MALFORMED',
					'subscription_id ' || left(to_jsonb(staged) ->> 'subscription_id', 60) || ' is not a whole number of 0 or more']
				WHEN period IS NULL THEN ARRAY['MALFORMED',
					'occurred_at ' || coalesce(left(nullif(to_jsonb(staged) ->> 'occurred_at', ''), 60) || ' is not a point in time', 'is missing')]
				WHEN quantity IS NULL THEN ARRAY['MALFORMED',
					'quantity ' || coalesce(left(nullif(to_jsonb(staged) ->> 'quantity', ''), 60) || ' is not a whole number', 'is missing')]
				WHEN metric IS NULL THEN ARRAY['MALFORMED', 'metric is missing']
				WHEN quantity < 0 THEN ARRAY['INVALID_QUANTITY', 'quantity ' || quantity || ' is negative']
				WHEN metric_id IS NULL THEN ARRAY['UNKNOWN_METRIC', 'metric ' || left(metric, 60) || ' does not exist']
				WHEN NOT period = ANY ($3) THEN ARRAY['MONTH_NOT_OPEN', format(
					'month %%1$s is not open; run SELECT settle_open_period(''%%1$s'');', to_char(period, 'YYYY-MM'))]
				END AS fault
			FROM dated
		), parked AS (
			INSERT INTO settle.usage_parked (load_id, code, message, staged)
			SELECT $1, fault[1], fault[2], to_jsonb(staged) FROM judged WHERE fault IS NOT NULL
			RETURNING 1
		)
		SELECT good.account_id, good.subscription_id, good.occurred_at, good.quantity, good.metric_id, good.period, good.event_id,
			(SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM parked) AS parked
		FROM (VALUES (1)) AS counts (row) LEFT JOIN (SELECT * FROM judged WHERE fault IS NULL) AS good ON true$query$,
		staging,
		CASE WHEN by_block THEN 'WHERE staging_row.ctid >= $4 AND staging_row.ctid < $5' END,
		number ->> 'account_id',
		CASE WHEN types ? 'subscription_id' THEN format(
			'CASE WHEN coalesce(staging_row.subscription_id::text, '''') = '''' THEN 0 ELSE %s END', number ->> 'subscription_id')
			ELSE '0::bigint' END,
		CASE WHEN types ->> 'occurred_at' = ('timestamptz'::regtype::oid)::text THEN 'staging_row.occurred_at'
			ELSE 'settle.try_timestamptz(staging_row.occurred_at::text)' END,
		number ->> 'quantity',
		concat_ws(', ', 'coalesce(NULL', metric_id, metric) || ')',
		CASE WHEN types ? 'event_id' THEN 'nullif(staging_row.event_id::text, '''')' ELSE 'NULL' END,
		CASE WHEN metric_id IS NULL THEN 'm.code = ' || metric
			WHEN metric IS NULL THEN 'm.metric_id = ' || (number ->> 'metric_id')
			ELSE format('CASE WHEN %s IS NULL THEN m.code = %s ELSE m.metric_id = %s END', metric_id, metric,
				number ->> 'metric_id') END);
END $$;
COMMENT ON FUNCTION settle.staging_query(regclass, boolean) IS 'the statement that takes rows out of a staging table, parks those that cannot be stored and returns the others, with both counts in each row; one row of NULLs with the counts when there is none. Parameters: load_id, time zone, open months, and by_block the first ctid and the one after the last';

CREATE FUNCTION settle.move_staged(query text, load_id bigint, zone text, open_months date[], first_block tid, end_block tid,
	OUT taken bigint, OUT good bigint, OUT stored bigint, OUT parked bigint) RETURNS record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_move_staged';
COMMENT ON FUNCTION settle.move_staged(text, bigint, text, date[], tid, tid) IS 'runs a settle.staging_query() and stores the rows it returns in settle.usage, repeated events excepted; only that storing is hidden from logical decoding. With the rights of the caller';

CREATE FUNCTION settle.check_staging(staging regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found pg_class;
	name text;
BEGIN
	SELECT * INTO found FROM pg_class WHERE oid = staging;
	IF found.oid IS NULL THEN
		RAISE EXCEPTION 'staging table % does not exist', coalesce(staging::oid::text, 'NULL') USING ERRCODE = 'undefined_table';
	END IF;
	name := format('%s.%I', found.relnamespace::regnamespace, found.relname);
	IF found.relkind NOT IN ('r', 'p', 'f') THEN
		RAISE EXCEPTION '% is not a table', name
			USING ERRCODE = 'wrong_object_type',
				DETAIL = 'settle_ingest() takes the rows out of the staging table, so it needs a table.';
	END IF;
	IF found.relnamespace IN ('settle'::regnamespace, 'pg_catalog'::regnamespace) THEN
		RAISE EXCEPTION '% cannot be a staging table', name
			USING ERRCODE = 'wrong_object_type', HINT = 'Copy the file into a table of your own.';
	END IF;
	IF NOT has_table_privilege(staging, 'SELECT') OR NOT has_table_privilege(staging, 'DELETE') THEN
		RAISE EXCEPTION 'permission denied for staging table %', name
			USING ERRCODE = 'insufficient_privilege', HINT = 'SELECT and DELETE on it are needed.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.check_staging(regclass) IS 'errors unless the caller may move rows out of the table';

CREATE FUNCTION settle_ingest(
	staging regclass, source text, command_id uuid DEFAULT NULL,
	OUT load_id bigint, OUT rows_in bigint, OUT rows_stored bigint, OUT rows_duplicate bigint, OUT rows_parked bigint
) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	blocks_at_once CONSTANT integer := 1024;
	zone CONSTANT text := settle.effective_time_zone();
	by_block boolean;
	blocks bigint;
	open_months date[];
	query text;
	batch record;
	told timestamptz := clock_timestamp();
	earlier CONSTANT jsonb := settle.ingest_claim(command_id, staging::text, source);
BEGIN
	IF earlier IS NOT NULL THEN
		SELECT e.* INTO load_id, rows_in, rows_stored, rows_duplicate, rows_parked
		FROM jsonb_to_record(earlier) AS e (load_id bigint, rows_in bigint, rows_stored bigint, rows_duplicate bigint, rows_parked bigint);
		RETURN;
	END IF;
	IF btrim(coalesce(source, '')) = '' THEN
		RAISE EXCEPTION 'a load needs a source'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the file or system the rows come from.';
	END IF;
	PERFORM settle.check_staging(staging);
	IF settle.bucket_count() = 0 THEN
		RAISE EXCEPTION 'settle is not set up in this database' USING ERRCODE = 'ST010', HINT = 'Run SELECT settle_init();';
	END IF;

	-- Blocks can be read in ranges when the rows are in one heap.
	SELECT c.relkind = 'r' AND NOT c.relhassubclass AND am.amname = 'heap' INTO by_block
	FROM pg_class AS c LEFT JOIN pg_am AS am ON am.oid = c.relam WHERE c.oid = staging;
	blocks := CASE WHEN by_block THEN pg_relation_size(staging) / current_setting('block_size')::integer ELSE 1 END;
	query := settle.staging_query(staging, by_block);
	open_months := ARRAY(SELECT month FROM settle.months_of('usage') AS month WHERE settle.month_is_open(month));

	INSERT INTO settle.usage_load (source) VALUES (settle_ingest.source)
	RETURNING usage_load.load_id INTO settle_ingest.load_id;
	rows_in := 0;
	rows_stored := 0;
	rows_duplicate := 0;
	rows_parked := 0;

	FOR block IN 0 .. blocks - 1 BY blocks_at_once LOOP
		SELECT * INTO batch FROM settle.move_staged(query, load_id, zone, open_months, format('(%s,0)', block)::tid,
			format('(%s,0)', least(block + blocks_at_once, 4294967295))::tid);
		IF batch.taken <> batch.good + batch.parked OR batch.stored > batch.good THEN
			RAISE EXCEPTION 'rows of % do not add up: % taken, % to be stored, % stored, % parked', staging, batch.taken,
				batch.good, batch.stored, batch.parked USING ERRCODE = 'internal_error';
		END IF;
		rows_in := rows_in + batch.taken;
		rows_stored := rows_stored + batch.stored;
		rows_duplicate := rows_duplicate + batch.good - batch.stored;
		rows_parked := rows_parked + batch.parked;
		IF clock_timestamp() - told > interval '5 seconds' THEN
			told := clock_timestamp();
			RAISE NOTICE '% rows read, % %%', rows_in, round(100.0 * least(block + blocks_at_once, blocks) / blocks);
		END IF;
	END LOOP;

	UPDATE settle.usage_load AS l
	SET rows_in = settle_ingest.rows_in, rows_stored = settle_ingest.rows_stored,
		rows_duplicate = settle_ingest.rows_duplicate, rows_parked = settle_ingest.rows_parked
	WHERE l.load_id = settle_ingest.load_id;
	PERFORM settle.ingest_finish(command_id, jsonb_build_object('load_id', load_id, 'rows_in', rows_in,
		'rows_stored', rows_stored, 'rows_duplicate', rows_duplicate, 'rows_parked', rows_parked));
END $$;
COMMENT ON FUNCTION settle_ingest(regclass, text, uuid) IS
'moves the rows of a staging table into settle.usage, in the caller''s transaction, and says what became of them: rows_in = rows_stored + rows_duplicate + rows_parked.
staging: any table the caller may read and delete from, with columns account_id, occurred_at, quantity, metric (code) or metric_id, and optionally subscription_id (empty = 0, the account''s pool) and event_id (empty = never a duplicate), of any type; the staged text of a time without zone is read in TimeZone, and its month is that in settle.time_zone. source: file or system.
Rows that cannot be stored go to settle.usage_parked with a reason: MALFORMED, INVALID_QUANTITY, UNKNOWN_METRIC, MONTH_NOT_OPEN. Errors: 22023 no source, 42703 a column is missing, 42809 not a table, 42501 no rights on it, ST010 settle_init() missing';

CREATE FUNCTION settle_unload(load_id bigint, reason text, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	load settle.usage_load;
	running bigint;
	month date;
	batch record;
	removed bigint := 0;
	free boolean;
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_unload',
		jsonb_build_object('load_id', load_id, 'reason', reason));
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	IF btrim(coalesce(reason, '')) = '' THEN
		RAISE EXCEPTION 'taking a load back needs a reason' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO load FROM settle.usage_load AS l WHERE l.load_id = settle_unload.load_id FOR UPDATE;
	IF load.load_id IS NULL THEN
		RAISE EXCEPTION 'load % does not exist', coalesce(settle_unload.load_id::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'See settle.usage_load.';
	END IF;
	IF load.unloaded_at IS NOT NULL THEN
		RAISE EXCEPTION 'load % was taken back already', load.load_id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('By %s at %s: %s', load.unloaded_by, load.unloaded_at, load.unload_reason);
	END IF;

	-- Under an older snapshot the bills of a run that has just ended would not be seen.
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'settle_unload() needs isolation level READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	PERFORM settle.set_bulk_origin(true);
	FOR month IN SELECT m FROM settle.months_of('usage') AS m ORDER BY m LOOP
		-- No run of the month may start or go on before our commit: it could bill what is about to go.
		free := settle.keep_runs_away(month);
		-- An account is billed when its newest revision is not a void one. If any is, the error undoes the delete.
		WITH gone AS (
			DELETE FROM settle.usage AS u WHERE u.period = month AND u.load_id = load.load_id RETURNING u.account_id
		), billed AS (
			SELECT newest.account_id FROM (
				SELECT DISTINCT ON (b.account_id) b.account_id, b.kind FROM settle.bill AS b
				WHERE b.period = month AND b.account_id IN (SELECT account_id FROM gone)
				ORDER BY b.account_id, b.revision DESC) AS newest
			WHERE newest.kind <> 'void'
		)
		SELECT (SELECT count(*) FROM gone) AS rows, (SELECT count(*) FROM billed) AS bills,
			ARRAY(SELECT account_id FROM billed ORDER BY account_id LIMIT 5) AS accounts INTO batch;
		IF batch.rows = 0 THEN
			IF free THEN
				PERFORM settle.unlock_period(month);
			END IF;
			CONTINUE;
		END IF;

		IF NOT free THEN
			SELECT run_id INTO running FROM settle.run WHERE run.period = month AND state = 'running' ORDER BY run_id DESC LIMIT 1;
			RAISE EXCEPTION 'load % cannot be taken back while % is being settled', load.load_id, to_char(month, 'YYYY-MM')
				USING ERRCODE = 'ST001', HINT = format('Wait for run %s, or stop it with settle_stop(%s).', running, running);
		END IF;
		IF batch.bills > 0 THEN
			RAISE EXCEPTION 'load % cannot be taken back: its accounts have bills of %', load.load_id, to_char(month, 'YYYY-MM')
				USING ERRCODE = 'ST011',
					DETAIL = format('Accounts with a bill (%s): %s%s.', batch.bills, array_to_string(batch.accounts, ', '),
						CASE WHEN batch.bills > 5 THEN ' …' END),
					HINT = 'Charge or credit the difference in settle.adjustment of a month that is not settled.';
		END IF;
		removed := removed + batch.rows;
	END LOOP;
	PERFORM settle.set_bulk_origin(false);

	UPDATE settle.usage_load AS l SET unloaded_by = session_user, unloaded_at = now(), unload_reason = reason
	WHERE l.load_id = load.load_id;
	PERFORM settle.command_finish(command_id, to_jsonb(removed));
	RETURN removed;
END $$;
COMMENT ON FUNCTION settle_unload(bigint, text, uuid) IS 'takes a load back before its accounts are billed: deletes its rows from settle.usage, records who, when and why, and returns their number. Parked rows stay; events of this load that a later one repeated were dropped then, so that one must be loaded again. Errors: 22023 no reason or no such load, 55000 taken back already, ST001 its month is being settled, ST011 accounts have bills';
