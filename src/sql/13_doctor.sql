-- ------------------------------------------------------------------------------------------------------------------
-- 13 Doctor: what settle needs from the server, the database and its operator
--
-- One function for each group of checks; each check is one row with a state, what was found and the fix, which can be
-- pasted (a statement a line). They run with the rights of the caller, because those are one of the things to look at: what a caller may not
-- see is said, never an error. settle_doctor() puts them together.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.library(OUT version text, OUT processors integer)
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'settle_library';
COMMENT ON FUNCTION settle.library() IS 'version of the shared library that this session has loaded, and processors of the machine';

CREATE FUNCTION settle.doctor_setting(name text) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT s.setting FROM pg_settings AS s WHERE s.name = $1);
COMMENT ON FUNCTION settle.doctor_setting(text) IS 'a setting in its base unit; NULL when there is none of that name, or the caller may not see it';

CREATE FUNCTION settle.doctor_list(setting text) RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY(SELECT btrim(item, ' "') FROM unnest(string_to_array(setting, ',')) AS item WHERE btrim(item, ' "') <> '');
COMMENT ON FUNCTION settle.doctor_list(text) IS 'items of a setting that is a list';

CREATE FUNCTION settle.doctor_list_with(setting text, item text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN (SELECT string_agg(quote_ident(i), ', ' ORDER BY n) FROM unnest(settle.doctor_list(setting) || item) WITH ORDINALITY AS l (i, n));
COMMENT ON FUNCTION settle.doctor_list_with(text, text) IS 'a setting that is a list, with one more item';

CREATE FUNCTION settle.doctor_alter(name text, value text, restart boolean) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format('ALTER SYSTEM SET %s = %s; %s', name, value,
	CASE WHEN restart THEN '-- then restart the server' ELSE 'SELECT pg_reload_conf();' END);
COMMENT ON FUNCTION settle.doctor_alter(text, text, boolean) IS 'the statement that changes a setting of the server';

-- A cast to regclass would leave out the schema that the caller does not have in her search_path.
CREATE FUNCTION settle.doctor_table(relation oid) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = relation);
COMMENT ON FUNCTION settle.doctor_table(oid) IS 'a table with its schema, for fixes';

CREATE FUNCTION settle.doctor_server() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH server AS MATERIALIZED (
		SELECT current_setting('server_version_num')::integer AS number, current_setting('server_version') AS name,
			getdatabaseencoding() AS encoding, settle.doctor_setting('fsync') AS fsync,
			settle.doctor_setting('full_page_writes') AS full_page_writes,
			settle.doctor_setting('synchronous_commit') AS synchronous_commit,
			settle.doctor_setting('autovacuum') AS autovacuum, settle.doctor_setting('track_counts') AS track_counts,
			(SELECT max(created_at) FROM settle.run) AS newest_run
	), version AS MATERIALIZED (
		SELECT e.extversion AS installed, l.version AS library
		FROM pg_extension AS e, settle.library() AS l WHERE e.extname = 'settle'
	)
	SELECT 'server version', CASE WHEN number / 10000 BETWEEN 14 AND 18 THEN 'ok' ELSE 'error' END, 'PostgreSQL ' || name,
		CASE WHEN number / 10000 NOT BETWEEN 14 AND 18 THEN 'Use PostgreSQL 14 to 18.' END
	FROM server
	UNION ALL
	SELECT 'encoding', CASE WHEN encoding = 'UTF8' THEN 'ok' ELSE 'error' END, encoding,
		CASE WHEN encoding <> 'UTF8' THEN 'CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0; -- and set settle up there' END
	FROM server
	UNION ALL
	SELECT 'extension version', CASE WHEN installed = library THEN 'ok' ELSE 'error' END,
		format('extension %s, library %s', installed, library),
		CASE WHEN installed <> library
			THEN 'ALTER EXTENSION settle UPDATE; -- restart the server first when it has the old library preloaded' END
	FROM version
	UNION ALL
	SELECT 'fsync', CASE WHEN fsync = 'on' AND full_page_writes = 'on' THEN 'ok' ELSE 'error' END,
		format('fsync = %s, full_page_writes = %s', fsync, full_page_writes)
			|| CASE WHEN fsync = 'on' AND full_page_writes = 'on' THEN '' ELSE ': a crash of the machine destroys bills' END,
		nullif(concat_ws(E'\n', CASE WHEN fsync <> 'on' THEN settle.doctor_alter('fsync', 'on', false) END,
			CASE WHEN full_page_writes <> 'on' THEN settle.doctor_alter('full_page_writes', 'on', false) END), '')
	FROM server
	UNION ALL
	SELECT 'synchronous_commit', CASE WHEN synchronous_commit = 'off' THEN 'warning' ELSE 'ok' END,
		synchronous_commit || CASE WHEN synchronous_commit = 'off'
			THEN ': a crash can lose loads that were reported as stored; runs go on at their last chunk' ELSE '' END,
		CASE WHEN synchronous_commit = 'off' THEN settle.doctor_alter('synchronous_commit', 'on', false) END
	FROM server
	UNION ALL
	SELECT 'autovacuum', CASE WHEN autovacuum = 'on' AND track_counts = 'on' THEN 'ok' ELSE 'warning' END,
		format('autovacuum = %s, track_counts = %s', autovacuum, track_counts),
		nullif(concat_ws(E'\n', CASE WHEN autovacuum <> 'on' THEN settle.doctor_alter('autovacuum', 'on', false) END,
			CASE WHEN track_counts <> 'on' THEN settle.doctor_alter('track_counts', 'on', false) END), '')
	FROM server
	UNION ALL
	SELECT 'clock', CASE WHEN extract(year FROM now()) BETWEEN 2024 AND 2100
			AND coalesce(newest_run <= clock_timestamp() + interval '5 minutes', true) THEN 'ok' ELSE 'error' END,
		to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
			|| CASE WHEN newest_run > clock_timestamp() + interval '5 minutes' THEN ', but the newest run is of a later time' ELSE '' END,
		CASE WHEN extract(year FROM now()) NOT BETWEEN 2024 AND 2100 OR newest_run > clock_timestamp() + interval '5 minutes'
			THEN 'Set the clock of the machine: it decides what "last month" is.' END
	FROM server;
END;
COMMENT ON FUNCTION settle.doctor_server() IS 'checks: version, encoding, durability, autovacuum, clock';

CREATE FUNCTION settle.doctor_setup() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH roles AS MATERIALIZED (
		SELECT string_agg(w.name, ', ' ORDER BY w.name) FILTER (WHERE r.oid IS NULL) AS missing
		FROM unnest(ARRAY['settle_reader', 'settle_operator', 'settle_admin', 'settle_relay', 'settle_notifier']) AS w (name)
			LEFT JOIN pg_roles AS r ON r.rolname = w.name
	), membership AS MATERIALIZED (
		SELECT string_agg(format('%s is no member of %s', w.member, w.role), ', ') AS missing
		FROM (VALUES ('settle_reader', 'settle_operator'), ('settle_operator', 'settle_admin')) AS w (role, member)
			JOIN pg_roles AS r ON r.rolname = w.role JOIN pg_roles AS m ON m.rolname = w.member
		WHERE NOT EXISTS (SELECT FROM pg_auth_members AS a WHERE a.roleid = r.oid AND a.member = m.oid)
	), replication AS MATERIALIZED (
		SELECT bool_and(rolreplication) AS granted FROM pg_roles WHERE rolname = 'settle_relay'
	), caller AS MATERIALIZED (
		SELECT r.rolsuper AS super, pg_has_role(o.relowner, 'USAGE') AS owner,
			(SELECT max(role.rolname) FILTER (WHERE role.rolname = 'settle_admin') FROM pg_roles AS role WHERE pg_has_role(role.oid, 'USAGE')) AS admin,
			(SELECT max(role.rolname) FILTER (WHERE role.rolname = 'settle_operator') FROM pg_roles AS role WHERE pg_has_role(role.oid, 'USAGE')) AS operator,
			(SELECT max(role.rolname) FILTER (WHERE role.rolname = 'settle_reader') FROM pg_roles AS role WHERE pg_has_role(role.oid, 'USAGE')) AS reader
		FROM pg_roles AS r, pg_class AS o WHERE r.rolname = current_user AND o.oid = 'settle.account'::regclass
	), result AS MATERIALIZED (
		SELECT DISTINCT t.relid::oid AS oid
		FROM unnest(ARRAY['settle.bill', 'settle.bill_line', 'settle.outbox']) AS parent, pg_partition_tree(parent::regclass) AS t
	), foreigner AS MATERIALIZED (
		SELECT format('trigger %I on %s', t.tgname, n.name) AS what, format('DROP TRIGGER %I ON %s;', t.tgname, n.name) AS fix
		FROM pg_trigger AS t JOIN result ON result.oid = t.tgrelid, settle.doctor_table(t.tgrelid) AS n (name)
		WHERE NOT t.tgisinternal AND t.tgparentid = 0
		UNION ALL
		SELECT format('foreign key %I of %s', k.conname, n.name), format('ALTER TABLE %s DROP CONSTRAINT %I;', n.name, k.conname)
		FROM pg_constraint AS k, settle.doctor_table(k.conrelid) AS n (name) WHERE k.contype = 'f' AND k.conparentid = 0
			AND EXISTS (SELECT FROM result AS t WHERE t.oid IN (k.conrelid, k.confrelid))
		UNION ALL
		SELECT format('rule %I on %s', w.rulename, n.name), format('DROP RULE %I ON %s;', w.rulename, n.name)
		FROM pg_rewrite AS w JOIN result ON result.oid = w.ev_class, settle.doctor_table(w.ev_class) AS n (name)
	)
	SELECT 'settle_init', CASE WHEN buckets > 0 THEN 'ok' ELSE 'error' END,
		CASE WHEN buckets > 0 THEN format('%s buckets', buckets) ELSE 'not called yet' END,
		CASE WHEN buckets = 0 THEN 'SELECT settle_init(); -- as a superuser' END
	FROM settle.bucket_count() AS buckets
	UNION ALL
	SELECT 'roles', CASE WHEN coalesce(roles.missing, membership.missing) IS NULL AND coalesce(replication.granted, true) THEN 'ok' ELSE 'error' END,
		coalesce(nullif(concat_ws(', ', 'missing: ' || roles.missing, membership.missing,
			CASE WHEN NOT replication.granted THEN 'settle_relay has no REPLICATION' END), ''), 'settle_admin ⊃ settle_operator ⊃ settle_reader, settle_relay, settle_notifier'),
		nullif(concat_ws(E'\n', CASE WHEN coalesce(roles.missing, membership.missing) IS NOT NULL THEN 'SELECT settle_init(); -- as a superuser' END,
			CASE WHEN NOT replication.granted THEN 'ALTER ROLE settle_relay REPLICATION;' END), '')
	FROM roles, membership, replication
	UNION ALL
	SELECT 'caller', CASE WHEN super OR owner OR coalesce(admin, operator, reader) IS NOT NULL THEN 'ok' ELSE 'warning' END,
		format('%s %s', current_user, CASE WHEN super THEN 'is a superuser' WHEN owner THEN 'owns settle'
			WHEN admin IS NOT NULL THEN 'is settle_admin: may do everything but set up'
			WHEN operator IS NOT NULL THEN 'is settle_operator: may load and settle'
			WHEN reader IS NOT NULL THEN 'is settle_reader: may look' ELSE 'has no role of settle' END),
		CASE WHEN NOT (super OR owner OR coalesce(admin, operator, reader) IS NOT NULL)
			THEN format('GRANT settle_operator TO %I;', current_user) END
	FROM caller
	UNION ALL
	SELECT 'result tables', CASE WHEN count(*) = 0 THEN 'ok' ELSE 'error' END,
		CASE WHEN count(*) = 0 THEN 'no trigger, foreign key or rule of others'
			ELSE 'runs are refused because of ' || array_to_string((array_agg(what ORDER BY what))[1:10], ', ') END,
		array_to_string((array_agg(foreigner.fix ORDER BY what))[1:10], E'\n')
	FROM foreigner;
END;
COMMENT ON FUNCTION settle.doctor_setup() IS 'checks: settle_init(), roles, the caller''s rights, and that nothing on the result tables keeps runs from starting';

-- In PL/pgSQL, because settle.rights() is created after it.
CREATE FUNCTION settle.doctor_rights() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	missing CONSTANT text := (SELECT format('%s missing: %s', count(*), array_to_string((array_agg(lacks.what ORDER BY lacks.what))[1:5], ', ')) FROM (
		SELECT format('%s may not execute %s', w.role_name, p.proname) AS what
		FROM settle.rights() AS w JOIN settle.members('pg_proc') AS m (oid) ON true JOIN pg_proc AS p ON p.oid = m.oid
			JOIN pg_roles AS r ON r.rolname = w.role_name
		WHERE w.class = 'pg_proc'::regclass AND p.proname = w.object_name AND NOT has_function_privilege(r.oid, p.oid, 'EXECUTE')
		UNION ALL
		SELECT format('settle_reader may not read %s', c.relname)
		FROM settle.members('pg_class') AS m (oid) JOIN pg_class AS c ON c.oid = m.oid JOIN pg_roles AS r ON r.rolname = 'settle_reader'
		WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT has_any_column_privilege(r.oid, c.oid, 'SELECT')) AS lacks HAVING count(*) > 0);
BEGIN
	RETURN QUERY SELECT 'rights', CASE WHEN missing IS NULL THEN 'ok' ELSE 'error' END,
		coalesce(missing, 'every role that exists has its own'),
		CASE WHEN missing IS NOT NULL THEN 'SELECT settle_init(); -- as a superuser, also after an update of settle' END;
END $$;
COMMENT ON FUNCTION settle.doctor_rights() IS 'checks that the roles have the rights of settle.rights()';

CREATE FUNCTION settle.doctor_time_zone() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH zone AS MATERIALIZED (
		SELECT settle.effective_time_zone() AS name, coalesce(current_setting('settle.time_zone', true), '') = '' AS by_server,
			(SELECT s.source FROM pg_settings AS s WHERE s.name
				= CASE WHEN coalesce(current_setting('settle.time_zone', true), '') = '' THEN 'TimeZone' ELSE 'settle.time_zone' END) AS source,
			(SELECT r.time_zone FROM settle.run AS r WHERE r.kind <> 'dry' ORDER BY r.run_id DESC LIMIT 1) AS last_used
	), judged AS MATERIALIZED (
		SELECT zone.*, source IN ('session', 'client', 'interactive') AS mine, coalesce(last_used <> name, false) AS changed FROM zone
	)
	SELECT 'time zone', CASE WHEN mine OR changed THEN 'warning' ELSE 'ok' END,
		concat_ws('; ', format('%s, by %s', name, CASE WHEN by_server THEN 'TimeZone' ELSE 'settle.time_zone' END),
			CASE WHEN mine THEN 'but only in this session, others may have another' END,
			CASE WHEN changed THEN format('the newest run used %s', last_used) END),
		CASE WHEN mine OR changed THEN format('ALTER DATABASE %I SET settle.time_zone = %L; -- and reconnect',
			current_database(), coalesce(last_used, name)) END
	FROM judged;
END;
COMMENT ON FUNCTION settle.doctor_time_zone() IS 'checks that the same time zone decides in every session, and the one of the newest run';

CREATE FUNCTION settle.doctor_months() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH month AS MATERIALIZED (
		SELECT m.name, m.at, to_char(m.at, 'YYYY-MM') AS text, settle.month_is_open(m.at) AS open
		FROM (SELECT date_trunc('month', now() AT TIME ZONE settle.effective_time_zone())::date AS first) AS this,
			LATERAL (VALUES ('last', (first - interval '1 month')::date), ('this', first), ('next', (first + interval '1 month')::date)) AS m (name, at)
	), settled AS MATERIALIZED (
		SELECT month.*, (SELECT max(r.run_id) FROM settle.run AS r WHERE r.period = month.at AND r.kind = 'final'
				AND r.state = 'completed' AND r.accounts IS NULL) AS by_run,
			EXISTS (SELECT FROM settle.account) AS has_accounts
		FROM month WHERE name = 'last'
	), unfinished AS MATERIALIZED (
		SELECT r.run_id, r.kind, to_char(r.period, 'YYYY-MM') AS text,
			CASE WHEN r.state <> 'running' THEN r.state::text WHEN settle.run_is_alive(r.run_id) THEN 'is running' ELSE 'has crashed' END AS state
		FROM settle.run AS r WHERE r.state IN ('running', 'stopped', 'failed')
	)
	SELECT 'catalogue', CASE WHEN count(empty) = 0 THEN 'ok' ELSE 'error' END,
		CASE WHEN count(empty) = 0 THEN 'currencies, products and prices are there'
			ELSE 'no row in ' || string_agg(empty, ', ') || ': runs are refused' END,
		CASE WHEN count(empty) > 0 THEN 'INSERT INTO ' || min(empty) || ' …; -- see "Quick start" in README' END
	FROM (SELECT 'settle.currency' WHERE NOT EXISTS (SELECT FROM settle.currency)
		UNION ALL SELECT 'settle.product' WHERE NOT EXISTS (SELECT FROM settle.product)
		UNION ALL SELECT 'settle.price' WHERE NOT EXISTS (SELECT FROM settle.price)) AS e (empty)
	UNION ALL
	SELECT name || ' month', CASE WHEN open THEN 'ok' WHEN name = 'this' THEN 'error' ELSE 'warning' END,
		format('%s is %s', text, CASE WHEN open THEN 'open' ELSE 'not open: its usage is refused' END),
		CASE WHEN NOT open THEN format('SELECT settle_open_period(%L);', text) END
	FROM month WHERE name <> 'last'
	UNION ALL
	SELECT 'last month', CASE WHEN by_run IS NOT NULL OR NOT has_accounts THEN 'ok' ELSE 'warning' END,
		CASE WHEN by_run IS NOT NULL THEN format('%s was settled by run %s', text, by_run)
			WHEN NOT has_accounts THEN 'there are no accounts yet' ELSE format('%s is not settled', text) END,
		CASE WHEN by_run IS NULL AND has_accounts THEN concat_ws(E'\n', CASE WHEN NOT open THEN format('SELECT settle_open_period(%L);', text) END,
			format('SELECT settle_run(%L);', text)) END
	FROM settled
	UNION ALL
	SELECT 'runs', CASE WHEN count(*) FILTER (WHERE state <> 'is running') = 0 THEN 'ok' ELSE 'warning' END,
		coalesce(string_agg(format('run %s of %s %s', run_id, text, state), ', ' ORDER BY run_id), 'none is unfinished'),
		string_agg(format('SELECT settle_run(%L%s); -- or SELECT settle_abandon(%s, ''why'');', text,
			CASE WHEN kind <> 'final' THEN format(', kind => %L', kind) END, run_id), E'\n' ORDER BY run_id) FILTER (WHERE state <> 'is running')
	FROM unfinished;
END;
COMMENT ON FUNCTION settle.doctor_months() IS 'checks: catalogue, this, the next and last month, runs that have not ended';

CREATE FUNCTION settle.doctor_capacity() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH server AS MATERIALIZED (
		SELECT settle.doctor_setting('max_worker_processes')::integer AS slots,
			least(coalesce(nullif(settle.doctor_setting('settle.workers')::integer, 0), l.processors), 64) AS wanted,
			settle.doctor_setting('max_locks_per_transaction')::bigint AS locks,
			settle.doctor_setting('max_connections')::bigint + settle.doctor_setting('max_prepared_transactions')::bigint AS sessions,
			settle.doctor_setting('max_wal_size')::bigint AS max_wal_mb
		FROM settle.library() AS l
	), process AS MATERIALIZED (
		-- Everything that is not a process of the server itself or a client takes a slot of max_worker_processes.
		SELECT count(*) FILTER (WHERE backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker',
				'background writer', 'checkpointer', 'walwriter', 'startup', 'archiver', 'walreceiver', 'walsender', 'logger',
				'walsummarizer', 'slotsync worker', 'io worker', 'standalone backend')) AS used,
			count(*) FILTER (WHERE backend_type IS NULL) AS hidden
		FROM pg_stat_activity
	), relation AS MATERIALIZED (
		SELECT count(*) AS number FROM pg_class WHERE relnamespace = 'settle'::regnamespace AND relkind IN ('r', 'p', 'i', 'I')
	), volume AS MATERIALIZED (
		-- a run writes about 1.4 kB of WAL for each account (docs/performance.md)
		SELECT ceil(coalesce(sum(greatest(c.reltuples, 0)), 0) * 1400 / 1048576)::bigint AS wal_mb
		FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'settle.account'::regclass
	)
	SELECT 'worker slots', CASE WHEN hidden > 0 THEN 'warning' WHEN slots - used < 1 THEN 'error' WHEN slots - used < wanted THEN 'warning' ELSE 'ok' END,
		CASE WHEN hidden > 0 THEN format('max_worker_processes = %s; how many are in use, %s may not see', slots, current_user)
			ELSE format('%s of %s are free, a run takes %s', slots - used, slots, wanted) END,
		CASE WHEN hidden > 0 THEN format('GRANT pg_read_all_stats TO %I; -- to see it', current_user)
			WHEN slots - used < wanted THEN settle.doctor_alter('max_worker_processes', (used + wanted + 2)::text, true) END
	FROM server, process
	UNION ALL
	SELECT 'locks', CASE WHEN number > locks * sessions / 2 THEN 'warning' ELSE 'ok' END,
		format('room for %s locks, settle has %s tables and indexes', locks * sessions, number),
		CASE WHEN number > locks * sessions / 2
			THEN settle.doctor_alter('max_locks_per_transaction', greatest(64, 3 * number / sessions)::text, true) END
	FROM server, relation
	UNION ALL
	SELECT 'WAL size', CASE WHEN wal_mb > max_wal_mb / 2 THEN 'warning' ELSE 'ok' END,
		format('max_wal_size is %s MB, a run writes about %s MB', max_wal_mb, wal_mb)
			|| CASE WHEN wal_mb > max_wal_mb / 2 THEN ': it would be slowed down by checkpoints' ELSE '' END,
		CASE WHEN wal_mb > max_wal_mb / 2 THEN settle.doctor_alter('max_wal_size', quote_literal(ceil(wal_mb * 2 / 1024.0) || 'GB'), false) END
	FROM server, volume;
END;
COMMENT ON FUNCTION settle.doctor_capacity() IS 'checks: free worker slots, room for locks, size of the WAL against the accounts';

CREATE FUNCTION settle.doctor_preload() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH preload AS MATERIALIZED (
		SELECT p.setting, 'settle' = ANY (settle.doctor_list(p.setting)) AS loaded,
			coalesce(current_setting('settle.auto_resume', true), 'on') AS auto_resume,
			settle.doctor_list(coalesce(current_setting('settle.databases', true), '*')) AS databases
		FROM (SELECT settle.doctor_setting('shared_preload_libraries')) AS p (setting)
	)
	SELECT 'preload', CASE WHEN loaded AND auto_resume = 'on' AND databases && ARRAY['*', current_database()::text] THEN 'ok' ELSE 'warning' END,
		CASE WHEN setting IS NULL THEN format('shared_preload_libraries: %s may not see it', current_user)
			WHEN NOT loaded THEN 'settle is not preloaded: runs that crash with the server wait for settle_run()'
			WHEN auto_resume <> 'on' THEN 'settle is preloaded, but settle.auto_resume is off'
			WHEN NOT databases && ARRAY['*', current_database()::text] THEN format('settle is preloaded, but settle.databases is without %s', current_database())
			ELSE 'runs that crash with the server are resumed' END,
		CASE WHEN setting IS NULL THEN format('GRANT pg_read_all_settings TO %I; -- to see it', current_user)
			WHEN NOT loaded THEN settle.doctor_alter('shared_preload_libraries', settle.doctor_list_with(setting, 'settle'), true)
			WHEN auto_resume <> 'on' THEN settle.doctor_alter('settle.auto_resume', 'on', false)
			WHEN NOT databases && ARRAY['*', current_database()::text]
				THEN settle.doctor_alter('settle.databases', settle.doctor_list_with(array_to_string(databases, ','), current_database()), false) END
	FROM preload;
END;
COMMENT ON FUNCTION settle.doctor_preload() IS 'checks that the launcher resumes crashed runs of this database';

CREATE FUNCTION settle.doctor_relay() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH server AS MATERIALIZED (
		SELECT settle.doctor_setting('wal_level') AS wal_level, settle.doctor_setting('max_replication_slots')::integer AS slots,
			settle.doctor_setting('max_wal_senders')::integer AS senders, settle.doctor_setting('output_plugin_libraries') AS plugins,
			(SELECT count(*) FROM pg_replication_slots) AS slots_used, (SELECT count(*) FROM pg_stat_replication) AS senders_used
	), idle AS MATERIALIZED (
		SELECT s.slot_name, s.plugin, s.wal_status = 'lost' AS lost,
			CASE WHEN NOT pg_is_in_recovery() THEN pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)) END AS kept
		FROM pg_replication_slots AS s WHERE s.slot_type = 'logical' AND s.database = current_database() AND NOT s.active
	)
	SELECT 'wal_level', CASE WHEN wal_level = 'logical' THEN 'ok' ELSE 'warning' END,
		wal_level || CASE WHEN wal_level = 'logical' THEN '' ELSE ': no consumer can follow the outbox by logical decoding' END,
		CASE WHEN wal_level <> 'logical' THEN settle.doctor_alter('wal_level', 'logical', true) END
	FROM server
	UNION ALL
	SELECT 'replication slots', CASE WHEN slots > slots_used AND senders > senders_used THEN 'ok' ELSE 'warning' END,
		format('%s of %s slots and %s of %s senders are free', greatest(slots - slots_used, 0), slots, greatest(senders - senders_used, 0), senders),
		nullif(concat_ws(E'\n', CASE WHEN slots <= slots_used THEN settle.doctor_alter('max_replication_slots', (slots_used + 4)::text, true) END,
			CASE WHEN senders <= senders_used THEN settle.doctor_alter('max_wal_senders', (senders_used + 4)::text, true) END), '')
	FROM server
	UNION ALL
	SELECT 'idle slots', CASE WHEN bool_or(lost) THEN 'error' WHEN count(*) > 0 THEN 'warning' ELSE 'ok' END,
		coalesce(string_agg(CASE WHEN lost THEN format('%s has lost its WAL', slot_name)
			ELSE format('%s has no consumer%s', slot_name, ' and keeps ' || kept || ' of WAL') END, ', ' ORDER BY slot_name), 'none'),
		-- without its slot a relay misses events: that of one which only stands still must stay
		string_agg(format(CASE WHEN plugin <> 'settle' THEN 'SELECT pg_drop_replication_slot(%L); -- unless its consumer comes back'
			WHEN lost THEN 'SELECT pg_drop_replication_slot(%1$L); SELECT settle_relay_setup(%1$L); -- then settle_republish() what it missed'
			ELSE 'SELECT * FROM settle.relay_status WHERE slot = %L; -- start its relay; drop the slot only when nobody wants its events' END, slot_name),
			E'\n' ORDER BY slot_name)
	FROM idle
	UNION ALL
	SELECT 'output plugins', CASE WHEN NOT hidden AND coalesce('settle' = ANY (settle.doctor_list(plugins)), true) THEN 'ok' ELSE 'warning' END,
		CASE WHEN hidden THEN format('output_plugin_libraries: %s may not see it', current_user)
			ELSE coalesce('output_plugin_libraries = ' || plugins, 'this server has no output_plugin_libraries') END,
		CASE WHEN hidden THEN format('GRANT pg_read_all_settings TO %I; -- to see it', current_user)
			WHEN NOT 'settle' = ANY (settle.doctor_list(plugins))
			THEN settle.doctor_alter('output_plugin_libraries', settle.doctor_list_with(plugins, 'settle'), false) END
	-- whether the server has the setting cannot be told from its being hidden
	FROM (SELECT plugins, plugins IS NULL AND NOT pg_has_role('pg_read_all_settings', 'USAGE') AS hidden FROM server) AS s;
END;
COMMENT ON FUNCTION settle.doctor_relay() IS 'checks what a consumer of the outbox needs: wal_level, free slots and senders, slots without consumer, permitted output plugins';

-- cron.job exists only with pg_cron, in one database of the cluster.
CREATE FUNCTION settle.doctor_schedule() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	elsewhere CONSTANT text := nullif(settle.doctor_setting('cron.database_name'), current_database());
	installed CONSTANT boolean := EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron');
	jobs text[];
	wanted CONSTANT text[] := ARRAY['settle_run(', 'settle_open_period('];
	statements CONSTANT text[] := ARRAY[
		'SELECT cron.schedule(''settle'', ''0 3 1 * *'', ''SELECT settle_run()'');',
		'SELECT cron.schedule(''settle-open'', ''0 3 20 * *'', ''SELECT settle_open_period(to_char(now() + interval ''''1 month'''', ''''YYYY-MM''''))'');'];
BEGIN
	IF NOT installed THEN
		RETURN QUERY SELECT 'schedule', 'warning',
			CASE WHEN elsewhere IS NULL THEN 'pg_cron is not installed: nobody settles the month by itself'
				ELSE format('pg_cron works in database %s: what it does here is not seen from here', elsewhere) END,
			CASE WHEN elsewhere IS NULL THEN 'CREATE EXTENSION pg_cron; ' || array_to_string(statements, ' ')
				ELSE format('SELECT * FROM cron.job WHERE database = %L; -- in %s', current_database(), elsewhere) END;
	ELSIF NOT has_schema_privilege('cron', 'USAGE') OR NOT has_table_privilege('cron.job', 'SELECT') THEN
		RETURN QUERY SELECT 'schedule', 'warning', format('pg_cron is installed; its jobs, %s may not see', current_user),
			format('GRANT USAGE ON SCHEMA cron TO %1$I; GRANT SELECT ON cron.job TO %1$I; -- to see them', current_user);
	ELSE
		EXECUTE 'SELECT array_agg(command) FROM cron.job WHERE active AND database = current_database()' INTO jobs;
		RETURN QUERY
		SELECT 'schedule', CASE WHEN count(*) = 0 THEN 'ok' ELSE 'warning' END,
			coalesce('no job that this role sees calls ' || string_agg(w.call || ')', ', '), 'settling and opening months are scheduled'),
			string_agg(w.statement, ' ')
		FROM unnest(wanted, statements) AS w (call, statement)
		WHERE NOT EXISTS (SELECT FROM unnest(jobs) AS job WHERE strpos(job, w.call) > 0);
	END IF;
END $$;
COMMENT ON FUNCTION settle.doctor_schedule() IS 'checks that pg_cron settles last month and opens the next one';

CREATE FUNCTION settle_doctor() RETURNS TABLE (check_name text, state text, found text, fix text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	-- Loads the library: until then the server does not know the settings of settle.
	PERFORM settle.library();
	RETURN QUERY
	SELECT * FROM settle.doctor_server()
	UNION ALL SELECT * FROM settle.doctor_setup()
	UNION ALL SELECT * FROM settle.doctor_rights()
	UNION ALL SELECT * FROM settle.doctor_time_zone()
	UNION ALL SELECT * FROM settle.doctor_months()
	UNION ALL SELECT * FROM settle.doctor_capacity()
	UNION ALL SELECT * FROM settle.doctor_preload()
	UNION ALL SELECT * FROM settle.doctor_schedule()
	UNION ALL SELECT * FROM settle.doctor_relay();
END $$;
COMMENT ON FUNCTION settle_doctor() IS
'what settle needs from the server, the database and its operator; one row for each check. Changes nothing and needs nobody''s rights: what the caller may not see is said.
state: ok, warning = it works, but something will be missed, error = runs or loads fail or bills are at risk. found: what is there. fix: what to paste; NULL when ok';
