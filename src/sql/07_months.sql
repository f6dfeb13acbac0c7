-- ------------------------------------------------------------------------------------------------------------------
-- 7 Set-up and months: the leaves of the partitioned tables
--
-- settle.layout() is the one place that says which tables have leaves, how they are keyed and vacuumed. Leaves are
-- built with CREATE TABLE (LIKE) and attached: that takes SHARE UPDATE EXCLUSIVE on the parent, so a month can be opened
-- while others are loaded or settled; CREATE … PARTITION OF would queue behind them, and everybody else behind it.
-- Dropping a month needs its parents for itself, and attaching one the default partitions: see settle.execute_briefly().
-- All these functions first take that same lock on settle.account, which also makes them wait for each other. It is a
-- lock users without rights on the table cannot take, unlike an advisory one.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.parse_period(month text) RETURNS settle.period
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF month IS NULL OR month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' OR month ~ '^0000' THEN
		RAISE EXCEPTION 'invalid month: %', coalesce('"' || month || '"', 'NULL')
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Write a month as YYYY-MM, for example ''2024-05''.';
	END IF;
	RETURN make_date(left(month, 4)::integer, right(month, 2)::integer, 1);
END $$;
COMMENT ON FUNCTION settle.parse_period(text) IS 'first day of a month written YYYY-MM; anything else is error 22023';

CREATE FUNCTION settle.effective_time_zone() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(nullif(current_setting('settle.time_zone', true), ''), current_setting('TimeZone'));
COMMENT ON FUNCTION settle.effective_time_zone() IS 'settle.time_zone, or TimeZone when it is empty: decides which month a moment belongs to';

CREATE FUNCTION settle.leaf_name(parent text, period date, bucket integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN parent || coalesce(to_char(period, '"_"YYYY_MM'), '') || coalesce(to_char(bucket, '"_b"FM9900'), '');
COMMENT ON FUNCTION settle.leaf_name(text, date, integer) IS 'name of a partition: account_b03, usage_2024_05 (bucket NULL), usage_2024_05_b03; bucket from 0, at least 2 digits';

CREATE FUNCTION settle.layout() RETURNS TABLE (parent text, monthly boolean, hashed boolean, key text, storage text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	-- Usage, bills and lines are inserted and then only read. The default insert scale factor (0.2) would vacuum a
	-- growing leaf again and again while it is loaded. 0.5 still vacuums it once after the run's ANALYZE (inserts since
	-- the last vacuum = all rows > 1000 + half of them), and freezing in that pass leaves nothing for a later one: 36
	-- open months never meet an anti-wraparound vacuum. The outbox is read by logical decoding and dropped whole.
	WITH vacuum (insert_only, never) AS (VALUES (
		'autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_freeze_min_age = 0',
		'autovacuum_vacuum_insert_threshold = -1'))
	SELECT leaf.parent, leaf.monthly, leaf.hashed, leaf.key, leaf.storage
	FROM vacuum, LATERAL (VALUES
		('account',        false, true,  'PRIMARY KEY (account_id)', NULL),
		('subscription',   false, true,  'PRIMARY KEY (account_id, subscription_id)', NULL),
		('discount_grant', false, true,  'PRIMARY KEY (account_id, grant_id)', NULL),
		('contact',        false, true,  'PRIMARY KEY (account_id)', NULL),
		('usage',          true,  true,  'UNIQUE (account_id, occurred_at, metric_id, event_id)', insert_only),
		('adjustment',     true,  true,  'PRIMARY KEY (account_id, adjustment_id)', NULL),
		('bill',           true,  true,  'PRIMARY KEY (account_id, revision)', insert_only),
		('bill_line',      true,  true,  NULL, insert_only), -- see settle.index_lines()
		('outbox',         true,  false, NULL, never),
		('notice',         true,  false, 'UNIQUE (account_id, revision, kind, channel, generation)', 'fillfactor = 85'), -- see settle.index_notices()
		('notice_attempt', true,  false, NULL, NULL)
	) AS leaf (parent, monthly, hashed, key, storage);
END;
COMMENT ON FUNCTION settle.layout() IS 'the partitioned tables: by month and hash of account_id, by one of them; key and storage parameters of their leaves';

CREATE FUNCTION settle.bucket_count() RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT count(*)::integer FROM pg_inherits WHERE inhparent = 'settle.account'::regclass);
COMMENT ON FUNCTION settle.bucket_count() IS 'number of buckets; 0 before settle_init()';

-- This one and the next look at the catalogue as it is now, not as the transaction's snapshot sees it: what another
-- session has just set up or opened is seen under REPEATABLE READ too.
CREATE FUNCTION settle.lock_layout() RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	LOCK TABLE ONLY settle.account IN SHARE UPDATE EXCLUSIVE MODE;
	RETURN (SELECT count(*) FROM pg_partition_tree('settle.account'::regclass) WHERE level = 1);
END $$;
COMMENT ON FUNCTION settle.lock_layout() IS 'waits for others that create buckets or open months, keeps them out until the transaction ends, and returns the number of buckets';

CREATE FUNCTION settle.is_attached(parent text, period date) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(pg_partition_root(to_regclass('settle.' || settle.leaf_name(parent, period, NULL)))
	= ('settle.' || parent)::regclass, false);
COMMENT ON FUNCTION settle.is_attached(text, date) IS 'whether a table partitioned by month has its partition of that month';

CREATE FUNCTION settle.month_is_open(period date) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT bool_and(settle.is_attached(l.parent, period)) FROM settle.layout() AS l WHERE l.monthly);
COMMENT ON FUNCTION settle.month_is_open(date) IS 'whether settle_open_period() was called for the month and none of its partitions was detached since';

CREATE FUNCTION settle.months_of(parent text) RETURNS SETOF date
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT to_date(right(c.relname::text, 7), 'YYYY_MM')
	FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
	WHERE i.inhparent = ('settle.' || parent)::regclass AND c.relname <> parent || '_unopened';
END;
COMMENT ON FUNCTION settle.months_of(text) IS 'months of which a table partitioned by month has partitions';

-- The engine reads and writes leaves by name. One query over all of them: 1024 buckets are 7000 leaves.
CREATE FUNCTION settle.leaf_faults(period date, only_bucket integer) RETURNS TABLE (leaf text, fault text, hint text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	-- A detached leaf is missed here by its number: the others say how many there should be.
	WITH present AS (
		SELECT max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'modulus ([0-9]+)')::integer) AS buckets
		FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'settle.account'::regclass
	), branch AS MATERIALIZED (
		SELECT l.*, b.name, to_regclass('settle.' || b.name)::oid AS oid, to_regclass('settle.' || l.parent)::oid AS parent_oid
		FROM settle.layout() AS l,
			LATERAL (SELECT settle.leaf_name(l.parent, CASE WHEN l.monthly THEN leaf_faults.period END, NULL) AS name) AS b
		WHERE l.parent NOT IN ('contact', 'notice', 'notice_attempt')
	), wanted AS MATERIALIZED (
		SELECT b.name AS parent, b.oid AS parent_oid, settle.leaf_name(b.name, NULL, bucket) AS leaf, true AS is_leaf,
			b.parent IN ('bill', 'bill_line') AS is_result,
			format('FOR VALUES WITH (modulus %s, remainder %s)', present.buckets, bucket) AS bound
		FROM present, branch AS b, generate_series(0, present.buckets - 1) AS bucket
		WHERE b.hashed AND (only_bucket IS NULL OR bucket = only_bucket OR b.parent = 'account')
		UNION ALL
		SELECT b.parent, b.parent_oid, b.name, NOT b.hashed, NOT b.hashed, format('FOR VALUES IN (%L)', leaf_faults.period)
		FROM branch AS b WHERE b.monthly
	), found AS (
		SELECT w.*, c.oid IS NOT NULL AS found, coalesce(i.inhparent = w.parent_oid AND NOT i.inhdetachpending, false) AS attached,
			pg_get_expr(c.relpartbound, c.oid) AS found_bound, c.relpersistence = 'p' AS permanent,
			c.relkind = 'r' AND c.relam = (SELECT am.oid FROM pg_am AS am WHERE am.amname = 'heap') AS plain
		FROM wanted AS w
			LEFT JOIN pg_class AS c ON c.relname = w.leaf::name AND c.relnamespace = 'settle'::regnamespace
			LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
	)
	SELECT f.leaf, format('table settle.%I ', f.leaf) || CASE
			WHEN NOT f.found THEN 'does not exist'
			WHEN NOT f.attached THEN format('is not a partition of settle.%I', f.parent)
			WHEN f.found_bound <> f.bound THEN format('is the partition %s, expected %s', f.found_bound, f.bound)
			WHEN NOT f.permanent THEN 'is not a permanent table'
			ELSE 'is not a plain table' END,
		CASE
			WHEN NOT f.found OR NOT f.attached OR f.found_bound <> f.bound THEN format(
				'%sALTER TABLE settle.%I ATTACH PARTITION settle.%I %s', CASE WHEN NOT f.found THEN 'Restore it from a backup; then '
					WHEN f.attached THEN 'Detach it; then ' END, f.parent, f.leaf, f.bound)
			WHEN NOT f.permanent THEN format('A crash would empty it: ALTER TABLE settle.%I SET LOGGED', f.leaf)
			ELSE 'Results are written in bulk: make it an ordinary table again' END || '.'
	FROM found AS f
	WHERE NOT f.found OR NOT f.attached OR f.found_bound <> f.bound OR f.is_leaf AND NOT f.permanent
		OR f.is_leaf AND f.is_result AND NOT f.plain;
END;
COMMENT ON FUNCTION settle.leaf_faults(date, integer) IS 'leaves that a run of the month reads or writes (of one bucket; NULL = of all) and that are not what their names say: missing, detached, of another bucket, unlogged, or, for results, not plain tables; with what to do about it';

CREATE FUNCTION settle.create_partition(model text, name text, key text, storage text, partition_by text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	owner oid := (SELECT relowner FROM pg_class WHERE oid = format('settle.%I', model)::regclass);
BEGIN
	EXECUTE format('CREATE TABLE settle.%I (LIKE settle.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS%s)%s%s', name, model,
		', CONSTRAINT ' || quote_ident(name || '_key') || ' ' || key,
		' PARTITION BY ' || partition_by,
		' WITH (' || storage || ')');
	-- A second superuser may call settle_init(): the engine works as the owner of the parents.
	IF owner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) THEN
		EXECUTE format('ALTER TABLE settle.%I OWNER TO %s', name, owner::regrole);
	END IF;
END $$;
COMMENT ON FUNCTION settle.create_partition(text, text, text, text, text) IS 'creates a table like its future parent, not attached; key, storage and partition_by may be NULL';

CREATE FUNCTION settle.create_buckets(model text, parent text, buckets integer, key text, storage text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	FOR bucket IN 0 .. buckets - 1 LOOP
		PERFORM settle.create_partition(model, settle.leaf_name(parent, NULL, bucket), key, storage, NULL);
		EXECUTE format('ALTER TABLE settle.%I ATTACH PARTITION settle.%I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
			parent, settle.leaf_name(parent, NULL, bucket), buckets, bucket);
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.create_buckets(text, text, integer, text, text) IS 'creates and attaches the hash partitions of parent, with the columns of model';

-- Lines have no key of their own: they are written once, together with their bill, whose key is unique. A B-tree over them
-- took a quarter of a run's time and a quarter of its WAL. They lie in the order of the accounts, so a block range index
-- finds a bill's lines in a few pages; the run summarises it when it closes a slice.
CREATE FUNCTION settle.index_lines(parent text, buckets integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	FOR bucket IN 0 .. buckets - 1 LOOP
		EXECUTE format('CREATE INDEX %I ON settle.%I USING brin (account_id) WITH (pages_per_range = 16)',
			settle.leaf_name(parent, NULL, bucket) || '_accounts', settle.leaf_name(parent, NULL, bucket));
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.index_lines(text, integer) IS 'creates the block range index on account_id of each bucket of a month''s bill lines';

CREATE TABLE settle.month_action (
	action_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT month_action_key PRIMARY KEY,
	period settle.period NOT NULL,
	action text NOT NULL CONSTRAINT month_action_known CHECK (action IN ('open', 'drop', 'prune', 'republish')),
	acted_by name NOT NULL DEFAULT session_user,
	acted_at timestamptz NOT NULL DEFAULT now(),
	rows jsonb,
	reason text
);
COMMENT ON TABLE settle.month_action IS 'which months were opened and dropped, and whose events were pruned or sent again';
COMMENT ON COLUMN settle.month_action.action_id IS 'identifier';
COMMENT ON COLUMN settle.month_action.period IS 'the month';
COMMENT ON COLUMN settle.month_action.action IS 'open, drop, prune (of the outbox) or republish (its events)';
COMMENT ON COLUMN settle.month_action.acted_by IS 'role that did it';
COMMENT ON COLUMN settle.month_action.acted_at IS 'when';
COMMENT ON COLUMN settle.month_action.rows IS 'drop, prune: rows that went with it, republish: rows sent again; by table: {"usage": 5, "bill": 2, …}';
COMMENT ON COLUMN settle.month_action.reason IS 'drop: why, as told by the operator';

CREATE FUNCTION settle.pruned_at(month date) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT max(a.acted_at) FROM settle.month_action AS a WHERE a.period = month AND a.action = 'prune'
	-- a month that was dropped and opened again begins anew
	AND a.action_id > coalesce((SELECT max(d.action_id) FROM settle.month_action AS d WHERE d.period = month AND d.action = 'drop'), 0));
COMMENT ON FUNCTION settle.pruned_at(date) IS 'when settle_outbox_prune() last removed events of the month; NULL when it has not';

-- A lock that excludes readers must not be waited for: whoever comes next would queue behind the one who waits. So it is
-- tried for a moment, given back with all others, and tried again, less and less often.
CREATE FUNCTION settle.execute_briefly(query text, what text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	before CONSTANT text := current_setting('lock_timeout');
	patience CONSTANT interval := coalesce(nullif(before::interval, interval '0'), interval '1 minute');
	began CONSTANT timestamptz := clock_timestamp();
	pause double precision := 0.05;
	result jsonb;
BEGIN
	LOOP
		BEGIN
			PERFORM set_config('lock_timeout', '100ms', true);
			EXECUTE query INTO result;
			PERFORM set_config('lock_timeout', before, true);
			RETURN result;
		EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
			IF clock_timestamp() - began > patience THEN
				RAISE EXCEPTION '% is in use', what
					USING ERRCODE = 'lock_not_available',
						DETAIL = 'Transactions that read or load kept its tables locked all the time.',
						HINT = 'See pg_locks for them, and try again later; lock_timeout, when it is set, says for how long (default: a minute).';
			END IF;
		END;
		PERFORM pg_sleep(pause);
		pause := least(pause * 2, 2);
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.execute_briefly(text, text) IS 'result of a query that takes strong locks: tried with a lock_timeout of 100 ms until it gets them, for as long as lock_timeout says or a minute; then error 55P03, which names what is in use';

CREATE FUNCTION settle.lock_unopened() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	LOCK TABLE settle.usage_unopened, settle.adjustment_unopened IN ACCESS EXCLUSIVE MODE;
END $$;
COMMENT ON FUNCTION settle.lock_unopened() IS 'locks the default partitions, as attaching and dropping a month does; waits for whoever reads all months';

CREATE FUNCTION settle.open_month(month date, dedup boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	latest CONSTANT date := date_trunc('month', now() AT TIME ZONE settle.effective_time_zone()) + interval '24 months';
	buckets integer;
	dropped settle.month_action;
	part record;
	name text;
	built text[] := '{}';
BEGIN
	IF month > latest THEN
		RAISE EXCEPTION 'month % is too far ahead', to_char(month, 'YYYY-MM')
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('The last month that can be opened now is %s.', to_char(latest, 'YYYY-MM'));
	END IF;
	IF settle.month_is_open(month) THEN
		RETURN false;
	END IF;
	SELECT * INTO dropped FROM settle.month_action AS a
	WHERE a.period = month AND action = 'drop' AND (rows ->> 'bill')::bigint > 0 ORDER BY action_id DESC LIMIT 1;
	IF dropped.action_id IS NOT NULL THEN
		RAISE EXCEPTION 'month % was dropped with its bills', to_char(month, 'YYYY-MM')
			USING ERRCODE = 'ST009', DETAIL = format('By %s at %s: %s', dropped.acted_by, dropped.acted_at, dropped.reason),
				HINT = 'Its accounts would be billed again, under the ids of events that were sent. Restore it from a backup instead.';
	END IF;

	buckets := settle.lock_layout();
	IF buckets = 0 THEN
		RAISE EXCEPTION 'settle is not set up in this database'
			USING ERRCODE = 'ST010', HINT = 'Run SELECT settle_init();';
	END IF;
	IF settle.month_is_open(month) THEN
		RETURN false;
	END IF;

	-- All tables are built whole and attached last, so that their parents are locked briefly and never have half a month.
	FOR part IN SELECT * FROM settle.layout() AS l WHERE l.monthly AND NOT settle.is_attached(l.parent, month) LOOP
		name := settle.leaf_name(part.parent, month, NULL);
		IF to_regclass('settle.' || name) IS NOT NULL THEN
			RAISE EXCEPTION 'settle.% exists but is not a partition of settle.%', name, part.parent
				USING ERRCODE = 'duplicate_table',
					HINT = format('Drop it, or ALTER TABLE settle.%I ATTACH PARTITION settle.%I FOR VALUES IN (%L).',
						part.parent, name, to_char(month, 'YYYY-MM-DD'));
		END IF;
		IF part.hashed THEN
			IF part.parent = 'usage' AND NOT dedup THEN
				part.key := NULL;
			END IF;
			PERFORM settle.create_partition(part.parent, name, NULL, NULL, 'HASH (account_id)');
			PERFORM settle.create_buckets(part.parent, name, buckets, part.key, part.storage);
			IF part.parent = 'bill_line' THEN
				PERFORM settle.index_lines(name, buckets);
			END IF;
		ELSE
			PERFORM settle.create_partition(part.parent, name, part.key, part.storage, NULL);
			IF part.parent IN ('notice', 'notice_attempt') THEN
				PERFORM settle.index_notices(name);
			END IF;
		END IF;
		built := built || part.parent;
	END LOOP;
	PERFORM settle.execute_briefly('SELECT NULL FROM settle.lock_unopened()', 'settle.usage or settle.adjustment');
	FOR part IN SELECT parent FROM unnest(built) AS parent LOOP
		EXECUTE format('ALTER TABLE settle.%I ATTACH PARTITION settle.%I FOR VALUES IN (%L)', part.parent,
			settle.leaf_name(part.parent, month, NULL), to_char(month, 'YYYY-MM-DD'));
	END LOOP;
	INSERT INTO settle.month_action (period, action) VALUES (month, 'open');
	RETURN true;
END $$;
COMMENT ON FUNCTION settle.open_month(date, boolean) IS 'creates the partitions of a month and records it; false when it is open already';

CREATE FUNCTION settle_open_period(period text, dedup boolean DEFAULT true, command_id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	earlier jsonb;
	opened boolean;
BEGIN
	IF dedup IS NULL THEN
		RAISE EXCEPTION 'dedup must be true or false' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	earlier := settle.command_claim(command_id, 'settle_open_period', jsonb_build_object('period', period, 'dedup', dedup));
	IF earlier IS NOT NULL THEN
		RETURN earlier::boolean;
	END IF;
	opened := settle.open_month(month, dedup);
	PERFORM settle.command_finish(command_id, to_jsonb(opened));
	RETURN opened;
END $$;
COMMENT ON FUNCTION settle_open_period(text, boolean, uuid) IS 'creates the partitions of a month (YYYY-MM), so that usage can be loaded and bills be written; false when it is open already. dedup => false leaves out the unique index of usage: repeated events are then stored. Up to 24 months ahead. Loads need not end for it; a transaction that has read all months of usage or adjustments must: error 55P03 when it lasts for a minute (or lock_timeout). Error ST009: it was dropped together with bills';

CREATE FUNCTION settle.month_partitions(month date) RETURNS TABLE (parent text, part regclass)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT l.parent, to_regclass('settle.' || settle.leaf_name(l.parent, month, NULL))
	FROM settle.layout() AS l WHERE l.monthly AND settle.is_attached(l.parent, month);
END;
COMMENT ON FUNCTION settle.month_partitions(date) IS 'the partitions of a month, with their parents';

CREATE FUNCTION settle.refuse_unfinished(month date) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.run;
BEGIN
	SELECT * INTO found FROM settle.run
	WHERE run.period = month AND state IN ('running', 'stopped', 'failed') ORDER BY run_id LIMIT 1;
	IF found.state = 'running' AND settle.run_is_alive(found.run_id) THEN
		RAISE EXCEPTION '% is being settled, by run %', to_char(month, 'YYYY-MM'), found.run_id
			USING ERRCODE = 'ST001', HINT = 'Watch it in settle.run_progress.';
	ELSIF found.run_id IS NOT NULL THEN
		RAISE EXCEPTION 'run % of % has not ended: it %', found.run_id, to_char(month, 'YYYY-MM'),
				CASE found.state WHEN 'running' THEN 'crashed' WHEN 'stopped' THEN 'was stopped' ELSE 'failed' END
			USING ERRCODE = 'ST009', HINT = 'settle_run() goes on with it, settle_abandon() ends it.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.refuse_unfinished(date) IS 'errors when a run of the month can still write: ST001 running, ST009 stopped, failed or crashed';

CREATE FUNCTION settle.refuse_needed(month date) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF month > (now() AT TIME ZONE settle.effective_time_zone()) - interval '13 months' THEN
		RAISE EXCEPTION '% did not end 12 months ago', to_char(month, 'YYYY-MM')
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Pass force => true to drop it all the same.';
	END IF;
	PERFORM FROM settle.run WHERE run.period = month AND state = 'completed' AND kind = 'final' AND accounts IS NULL;
	IF NOT FOUND AND (EXISTS (SELECT FROM settle.usage AS u WHERE u.period = month)
			OR EXISTS (SELECT FROM settle.adjustment AS a WHERE a.period = month)) THEN
		RAISE EXCEPTION '% was not settled', to_char(month, 'YYYY-MM')
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'It has usage or adjustments, and no final run of all accounts.',
				HINT = 'Pass force => true to drop it all the same.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.refuse_needed(date) IS 'error 55000 when a month ended less than 12 months ago, or has usage or adjustments that no final run has settled';

-- One attempt. The locks that exclude readers come last, all before the first table is dropped. What fails to lock gives
-- everything back, so loads of that month go on in between.
CREATE FUNCTION settle.drop_partitions(month date) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	parts CONSTANT regclass[] := ARRAY(SELECT p.part FROM settle.month_partitions(month) AS p);
	part record;
	counted bigint;
	rows jsonb := '{}';
BEGIN
	EXECUTE format('LOCK TABLE %s IN SHARE MODE', array_to_string(parts, ', '));
	FOR part IN SELECT * FROM settle.month_partitions(month) AS p LOOP
		EXECUTE format('SELECT count(*) FROM %s', part.part) INTO counted;
		rows := rows || jsonb_build_object(part.parent, counted);
	END LOOP;

	FOR part IN SELECT * FROM settle.month_partitions(month) AS p LOOP
		EXECUTE format('LOCK TABLE ONLY settle.%I IN ACCESS EXCLUSIVE MODE', part.parent);
	END LOOP;
	PERFORM settle.lock_unopened();
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', array_to_string(parts, ', '));
	EXECUTE format('DROP TABLE %s', array_to_string(parts, ', '));
	RETURN rows;
END $$;
COMMENT ON FUNCTION settle.drop_partitions(date) IS 'drops the partitions of a month; returns their numbers of rows by table';

CREATE FUNCTION settle_drop_period(period text, reason text, force boolean DEFAULT false, command_id uuid DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_drop_period',
		jsonb_build_object('period', period, 'reason', reason, 'force', force));
	free boolean;
	dropped jsonb;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier;
	END IF;
	PERFORM settle.require_reason(reason, 'dropping a month', 'settle.month_action');
	IF force IS NULL THEN
		RAISE EXCEPTION 'force must be true or false' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	-- Under an older snapshot a run that has just begun would not be seen, nor rows be counted that were just stored.
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'settle_drop_period() needs isolation level READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	PERFORM settle.lock_layout();
	PERFORM FROM settle.month_partitions(month);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'month % is not open', period
			USING ERRCODE = 'ST003', DETAIL = 'It has no partitions that could be dropped.';
	END IF;
	-- Until our commit no run of the month can begin: it would write what is about to go.
	free := settle.keep_runs_away(month);
	PERFORM settle.refuse_unfinished(month);
	IF NOT free THEN
		RAISE EXCEPTION '% is in use by another session', period
			USING ERRCODE = 'ST001', DETAIL = 'A run of it is about to begin or to end, or a load of it is being taken back.',
				HINT = 'Watch settle.run_progress, and try again.';
	END IF;
	IF NOT force THEN
		PERFORM settle.refuse_needed(month);
	END IF;
	dropped := settle.execute_briefly(format('SELECT settle.drop_partitions(%L)', month), 'month ' || period);
	INSERT INTO settle.month_action (period, action, rows, reason) VALUES (month, 'drop', dropped, settle_drop_period.reason);
	PERFORM settle.command_finish(command_id, dropped);
	RETURN dropped;
END $$;
COMMENT ON FUNCTION settle_drop_period(text, text, boolean, uuid) IS
'drops the partitions of a month (YYYY-MM): its usage, adjustments, bills, lines and events are gone. Returns the numbers of their rows, {"usage": 5, …}, and records them in settle.month_action. Runs, their slices and skipped accounts stay.
Refuses a month with a run that has not ended; without force => true also one that ended less than 12 months ago, or that has usage or adjustments and was not settled. For settle_admin.
It needs its tables for a moment, so transactions that read or load any month must end: it tries again and again without keeping others waiting, for a minute (or lock_timeout).
Errors: 22023 no reason, 55000 still needed, 55P03 in use, ST001 being settled, ST003 month not open, ST009 a run was stopped, failed or crashed, ST012 command id used otherwise';

CREATE FUNCTION settle.change_buckets(present integer, wanted integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	part record;
	leaf record;
	found_row boolean;
BEGIN
	SELECT c.relname AS name, l.parent INTO leaf
	FROM settle.layout() AS l, pg_partition_tree(('settle.' || l.parent)::regclass) AS t JOIN pg_class AS c ON c.oid = t.relid
	WHERE l.monthly AND t.level = 1 AND c.relname <> l.parent || '_unopened'
	ORDER BY c.relname LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot change the number of buckets from % to %', present, wanted
			USING ERRCODE = 'object_in_use',
				DETAIL = format('A month is open: settle.%I has partition settle.%I.', leaf.parent, leaf.name);
	END IF;
	FOR part IN SELECT * FROM settle.layout() AS l WHERE NOT l.monthly LOOP
		EXECUTE format('LOCK TABLE settle.%I IN ACCESS EXCLUSIVE MODE', part.parent);
		EXECUTE format('SELECT EXISTS (SELECT FROM settle.%I)', part.parent) INTO found_row;
		IF found_row THEN
			RAISE EXCEPTION 'cannot change the number of buckets from % to %', present, wanted
				USING ERRCODE = 'object_in_use',
					DETAIL = format('Table settle.%I has rows.', part.parent),
					HINT = 'The number of buckets is chosen before the first account is stored.';
		END IF;
		FOR leaf IN SELECT relid FROM pg_partition_tree(('settle.' || part.parent)::regclass) WHERE level = 1 LOOP
			EXECUTE format('DROP TABLE %s', leaf.relid);
		END LOOP;
		PERFORM settle.create_buckets(part.parent, part.parent, wanted, part.key, part.storage);
	END LOOP;
	PERFORM settle.index_contacts(wanted);
END $$;
COMMENT ON FUNCTION settle.change_buckets(integer, integer) IS 'creates the leaves of the account-owned tables anew; refused once one has rows or a month is open';

CREATE FUNCTION settle.refuse_unopened() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'month % is not open', to_char(NEW.period, 'YYYY-MM')
		USING ERRCODE = 'ST003', HINT = format('Run SELECT settle_open_period(%L);', to_char(NEW.period, 'YYYY-MM'));
END $$;
COMMENT ON FUNCTION settle.refuse_unopened() IS 'error ST003 with the command to run, for rows of a month that is not open';

-- What people load gets a default partition that never holds a row: only there can a row of a month that is not open be
-- answered with the command to run. Its price: opening a month needs nobody to read all months at that moment.
CREATE FUNCTION settle.create_unopened(parent text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	name CONSTANT text := parent || '_unopened';
BEGIN
	IF to_regclass('settle.' || name) IS NOT NULL THEN
		RETURN;
	END IF;
	PERFORM settle.create_partition(parent, name, NULL, NULL, NULL);
	EXECUTE format('CREATE TRIGGER refuse_unopened BEFORE INSERT ON settle.%I FOR EACH ROW'
		' EXECUTE FUNCTION settle.refuse_unopened()', name);
	EXECUTE format('ALTER TABLE settle.%I ATTACH PARTITION settle.%I DEFAULT', parent, name);
END $$;
COMMENT ON FUNCTION settle.create_unopened(text) IS 'creates the default partition that refuses rows of months that are not open, unless it is there';

CREATE FUNCTION settle_init(buckets integer DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	owner CONSTANT regrole := (SELECT relowner FROM pg_class WHERE oid = 'settle.account'::regclass);
	earlier jsonb;
	present integer;
	wanted integer;
BEGIN
	IF NOT pg_has_role(owner, 'USAGE') THEN
		RAISE EXCEPTION 'permission denied to set up settle'
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Only a superuser or %s, the owner of the extension, can call settle_init().', owner);
	END IF;
	IF current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'settle needs a database with encoding UTF8, not %', current_setting('server_encoding')
			USING ERRCODE = 'feature_not_supported',
				DETAIL = 'Events are JSON, which is UTF-8, and are written as they are stored.',
				HINT = 'Use one created by CREATE DATABASE name ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
	IF buckets NOT BETWEEN 1 AND 1024 OR buckets & (buckets - 1) <> 0 THEN
		RAISE EXCEPTION 'invalid number of buckets: %', buckets
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Choose a power of two from 1 to 1024.';
	END IF;

	earlier := settle.command_claim(command_id, 'settle_init', jsonb_build_object('buckets', buckets));
	IF earlier IS NOT NULL THEN
		RETURN earlier::integer;
	END IF;

	present := settle.lock_layout();
	wanted := coalesce(buckets, nullif(present, 0), 16);
	IF wanted <> present THEN
		PERFORM settle.change_buckets(present, wanted);
	END IF;
	PERFORM settle.create_unopened('usage');
	PERFORM settle.create_unopened('adjustment');
	PERFORM settle.create_roles();
	PERFORM settle.grant_rights();
	PERFORM settle.command_finish(command_id, to_jsonb(wanted));
	RETURN wanted;
END $$;
COMMENT ON FUNCTION settle_init(integer, uuid) IS 'sets settle up: buckets of the account-owned tables, roles and their rights; returns the number of buckets. A power of two from 1 to 1024, NULL = the present one, 16 at first. More than 256 need max_locks_per_transaction raised, or it ends with "out of shared memory" (53200). Can be repeated at any time, with another number only while there are no accounts and no open month. For a superuser or the owner of the extension. Errors: 0A000 the database is not UTF-8, 22023 no such number, 55006 accounts or months are there';
