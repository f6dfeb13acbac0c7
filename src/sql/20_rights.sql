-- ------------------------------------------------------------------------------------------------------------------
-- 20 Rights and dump
--
-- settle.rights() is the one place that says who may write what and call what; a function without a row there is for
-- settle_admin only. settle_init() creates the roles and grants, because roles belong to the cluster; the script itself
-- only takes everything from PUBLIC. Leaves need no grants: access through a parent is checked on the parent.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.members(catalog regclass) RETURNS SETOF oid
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	WHERE e.extname = 'settle' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.classid = catalog AND d.objsubid = 0;
END;
COMMENT ON FUNCTION settle.members(regclass) IS 'objects of the extension in pg_class, pg_proc or pg_type';

CREATE FUNCTION settle.rights() RETURNS TABLE (role_name text, class regclass, object_name text, privileges text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	-- Nobody is given a write on bill, bill_line, outbox, run, run_slice, run_error, run_action, month_action or command;
	-- a relay writes relay_progress and relay_error through its two functions.
	-- loaded_by and loaded_at of a load come from their defaults, and only settle_unload() says who took it back.
	SELECT 'settle_operator', 'pg_class'::regclass, name, 'INSERT, UPDATE, DELETE'
	FROM unnest(ARRAY['account_group', 'account', 'subscription', 'discount_grant', 'contact', 'usage', 'adjustment']) AS name
	UNION ALL
	SELECT 'settle_operator', 'pg_class'::regclass, name, write
	FROM (VALUES
		('usage_load', 'INSERT (source), UPDATE (rows_in, rows_stored, rows_duplicate, rows_parked)'),
		('usage_parked', 'INSERT, DELETE')) AS load (name, write)
	UNION ALL
	SELECT 'settle_admin', 'pg_class'::regclass, name, 'INSERT, UPDATE, DELETE'
	FROM unnest(ARRAY['currency', 'metric', 'product', 'price', 'charge', 'charge_tier', 'tax', 'discount']) AS name
	UNION ALL
	SELECT 'settle_operator', 'pg_proc'::regclass, name, 'EXECUTE'
	FROM unnest(ARRAY['settle_open_period', 'settle_ingest', 'settle_unload', 'settle_run', 'settle_stop', 'settle_release',
		'settle_retry', 'settle_abandon', 'settle_error_mark', 'settle_republish', 'settle_set_contact',
		'settle_find_contact', 'settle_notice_retry', 'settle_notice_resolve', 'settle_notice_resend', 'settle_notice_cancel',
		'settle_notice_pause', 'settle_notice_resume', 'settle_suppress', 'settle_dead_letter_retry',
		-- called by settle_ingest() in the name of its caller
		'move_staged', 'ingest_claim', 'ingest_finish']) AS name
	UNION ALL
	SELECT 'settle_notifier', 'pg_class'::regclass, name, 'SELECT'
	FROM unnest(ARRAY['contact', 'notice', 'notice_pause']) AS name
	UNION ALL
	SELECT 'settle_notifier', 'pg_class'::regclass, 'dead_letter', 'SELECT, INSERT, UPDATE'
	UNION ALL
	SELECT 'settle_notifier', 'pg_proc'::regclass, name, 'EXECUTE'
	FROM unnest(ARRAY['notice_ingest', 'notice_claim', 'notice_record', 'notice_sweep', 'notice_own']) AS name
	UNION ALL
	SELECT 'settle_relay', 'pg_proc'::regclass, name, 'EXECUTE'
	FROM unnest(ARRAY['relay_record', 'relay_refuse']) AS name
	UNION ALL
	SELECT 'settle_notifier', 'pg_class'::regclass, name, 'SELECT'
	FROM unnest(ARRAY['template', 'template_retirement']) AS name
	UNION ALL
	SELECT 'settle_notifier', 'pg_proc'::regclass, name, 'EXECUTE'
	FROM unnest(ARRAY['template_for']) AS name
	UNION ALL
	SELECT 'settle_reader', 'pg_proc'::regclass, name, 'EXECUTE'
	FROM unnest(ARRAY['settle_preview', 'settle_quote', 'settle_bucket', 'settle_verify', 'settle_doctor', 'settle_run_log',
		-- called by these, by views and by settle_ingest() in the name of their caller
		'parse_period', 'effective_time_zone', 'leaf_name', 'layout', 'leaf_faults', 'bucket_count', 'is_attached', 'month_is_open',
		'months_of', 'check_staging', 'staging_query', 'staging_number', 'try_bigint', 'try_timestamptz', 'bucket', 'reasons',
		'group_size', 'run_group_size', 'own_locks', 'has_live_run', 'run_is_alive', 'sum_totals', 'add_totals', 'usage_digest',
		'sender_lag', 'mask', 'normal_form', 'is_time_zone', 'notice_steps', 'due_at', 'template_for', 'template_fault', 'template_names',
		-- called by settle_doctor(), which looks with the eyes of its caller
		'library', 'members', 'rights', 'doctor_setting', 'doctor_list', 'doctor_list_with', 'doctor_alter', 'doctor_table',
		'doctor_server', 'doctor_setup', 'doctor_rights', 'doctor_time_zone', 'doctor_months', 'doctor_capacity', 'doctor_preload',
		'doctor_schedule', 'doctor_relay']) AS name;
END;
COMMENT ON FUNCTION settle.rights() IS 'what settle_init() grants besides SELECT to settle_reader and EXECUTE on everything to settle_admin';

CREATE FUNCTION settle.create_roles() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	missing text;
	wanted record;
BEGIN
	FOR wanted IN SELECT * FROM (VALUES
		('settle_reader', 'NOLOGIN'), ('settle_operator', 'NOLOGIN'), ('settle_admin', 'NOLOGIN'),
		('settle_relay', 'NOLOGIN REPLICATION'), ('settle_notifier', 'NOLOGIN')) AS r (name, options)
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name)
	LOOP
		-- REPLICATION and membership of roles made by others need a superuser.
		IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
			RAISE EXCEPTION 'role % does not exist', wanted.name
				USING ERRCODE = 'insufficient_privilege',
					HINT = 'A superuser must call settle_init() once in this cluster.';
		END IF;
		-- Roles belong to the cluster: another database may be creating them at this moment.
		BEGIN
			EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.options);
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;
	FOR wanted IN SELECT * FROM (VALUES
		('settle_reader', 'settle_operator'), ('settle_operator', 'settle_admin')) AS m (role, member)
		WHERE NOT EXISTS (SELECT FROM pg_auth_members
			WHERE roleid = m.role::regrole AND pg_auth_members.member = m.member::regrole)
	LOOP
		BEGIN
			EXECUTE format('GRANT %I TO %I', wanted.role, wanted.member);
		EXCEPTION WHEN unique_violation THEN
			NULL;
		END;
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.create_roles() IS 'creates the roles of settle that the cluster does not have: settle_admin ⊃ settle_operator ⊃ settle_reader, settle_relay, settle_notifier';

CREATE FUNCTION settle.grant_rights() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	grantable record;
BEGIN
	GRANT USAGE ON SCHEMA settle TO settle_reader, settle_relay, settle_notifier;

	-- Sealed values and the hashes that find them are read by settle_admin and the notifier only.
	FOR grantable IN
		SELECT c.oid::regclass AS name, bool_or(a.secret) AS has_secrets,
			string_agg(quote_ident(a.attname), ', ') FILTER (WHERE NOT a.secret) AS open_columns
		FROM settle.members('pg_class') AS m (oid) JOIN pg_class AS c ON c.oid = m.oid
			JOIN (SELECT attrelid, attname, attname ~ '_(sealed|hash)$' AS secret FROM pg_attribute
				WHERE attnum > 0 AND NOT attisdropped) AS a ON a.attrelid = c.oid
		WHERE c.relkind IN ('r', 'p', 'v', 'm')
		GROUP BY c.oid
	LOOP
		EXECUTE format('GRANT SELECT%s ON %s TO settle_reader',
			CASE WHEN grantable.has_secrets THEN ' (' || grantable.open_columns || ')' END, grantable.name);
		EXECUTE format('GRANT SELECT ON %s TO settle_admin', grantable.name);
	END LOOP;

	FOR grantable IN
		SELECT r.role_name, r.privileges, c.oid::regclass AS name
		FROM settle.rights() AS r, settle.members('pg_class') AS m (oid) JOIN pg_class AS c ON c.oid = m.oid
		WHERE r.class = 'pg_class'::regclass AND c.relname = r.object_name
	LOOP
		EXECUTE format('GRANT %s ON %s TO %I', grantable.privileges, grantable.name, grantable.role_name);
	END LOOP;

	FOR grantable IN
		SELECT DISTINCT r.role_name, p.oid::regprocedure AS name
		FROM settle.members('pg_proc') AS m (oid) JOIN pg_proc AS p ON p.oid = m.oid,
			LATERAL (SELECT 'settle_admin' AS role_name
				UNION ALL SELECT role_name FROM settle.rights()
				WHERE class = 'pg_proc'::regclass AND object_name = p.proname) AS r
	LOOP
		EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', grantable.name, grantable.role_name);
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.grant_rights() IS 'grants the roles of settle what settle.rights() says, on the objects of the extension; can be repeated';

-- PUBLIC has nothing, whatever ALTER DEFAULT PRIVILEGES gave it. Types need no revoke: without USAGE on the schema they
-- cannot be named. Every plain table, and the sequence of every identity column, holds user data and is dumped; only the
-- templates that come with settle are made by this script.
REVOKE ALL ON SCHEMA settle FROM PUBLIC;

DO $$
DECLARE
	member record;
BEGIN
	FOR member IN SELECT oid::regprocedure AS name FROM settle.members('pg_proc') AS m (oid) LOOP
		EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', member.name);
	END LOOP;
	FOR member IN
		SELECT c.oid::regclass AS name, c.oid, c.relkind
		FROM settle.members('pg_class') AS m (oid) JOIN pg_class AS c ON c.oid = m.oid
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
	LOOP
		EXECUTE format('REVOKE ALL ON %s%s FROM PUBLIC', CASE member.relkind WHEN 'S' THEN 'SEQUENCE ' END, member.name);
		IF member.relkind IN ('r', 'S') THEN
			PERFORM pg_extension_config_dump(member.oid, CASE member.name WHEN 'settle.template'::regclass THEN 'WHERE version > 0' ELSE '' END);
		END IF;
	END LOOP;
END $$;
