-- ------------------------------------------------------------------------------------------------------------------
-- 10 Operating runs
--
-- Every function that changes something takes a command_id. settle.command_claim() comes first: it waits for another
-- session with the same id, and returns what an earlier call returned; then nothing more is done. Otherwise
-- settle.command_finish() records the outcome, in the transaction of the effect.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.command_find(command_id uuid, verb text, arguments jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.command;
BEGIN
	SELECT * INTO found FROM settle.command AS c WHERE c.command_id = command_find.command_id;
	IF found.command_id IS NULL THEN
		RETURN NULL;
	END IF;
	IF found.verb <> command_find.verb OR found.arguments <> command_find.arguments THEN
		RAISE EXCEPTION 'command id % was used for another command', command_find.command_id
			USING ERRCODE = 'ST012', DETAIL = format('It was %s(%s), called by %s at %s.', found.verb,
					left(found.arguments::text, 200), found.called_by, found.called_at),
				HINT = 'Use a new id for a new command.';
	END IF;
	RETURN coalesce(found.outcome, 'null');
END $$;
COMMENT ON FUNCTION settle.command_find(uuid, text, jsonb) IS 'outcome of an executed command, JSON null for one without; SQL NULL when it was not executed. Error ST012: the id was used for another verb or with other arguments';

CREATE FUNCTION settle.command_claim(command_id uuid, verb text, arguments jsonb, called_by name DEFAULT session_user) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF command_claim.command_id IS NULL THEN
		RETURN NULL;
	END IF;
	-- Waits for a session that is executing the same command.
	INSERT INTO settle.command (command_id, verb, arguments, called_by)
	VALUES (command_claim.command_id, command_claim.verb, command_claim.arguments, command_claim.called_by)
	ON CONFLICT DO NOTHING;
	IF FOUND THEN
		RETURN NULL;
	END IF;
	RETURN settle.command_find(command_claim.command_id, command_claim.verb, command_claim.arguments);
END $$;
COMMENT ON FUNCTION settle.command_claim(uuid, text, jsonb, name) IS 'NULL when the caller shall execute the command (no id given, or a new one), else the outcome of the call that has done it. Error ST012: the id was used otherwise';

-- settle_ingest() runs with the rights of its caller, who must not be able to write the journal of other commands.
CREATE FUNCTION settle.ingest_claim(command_id uuid, staging text, source text) RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT settle.command_claim(command_id, 'settle_ingest', jsonb_build_object('staging', staging, 'source', source));
$$;
COMMENT ON FUNCTION settle.ingest_claim(uuid, text, text) IS 'settle.command_claim() for settle_ingest()';

CREATE FUNCTION settle.ingest_finish(command_id uuid, outcome jsonb) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	UPDATE settle.command SET outcome = ingest_finish.outcome
	WHERE command.command_id = ingest_finish.command_id AND command.verb = 'settle_ingest'
		AND command.called_by = session_user AND command.outcome IS NULL;
$$;
COMMENT ON FUNCTION settle.ingest_finish(uuid, jsonb) IS 'settle.command_finish() for settle_ingest()';

CREATE FUNCTION settle.command_finish(command_id uuid, outcome jsonb) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	UPDATE settle.command SET outcome = command_finish.outcome
	WHERE command.command_id = command_finish.command_id AND command.outcome IS NULL;
$$;
COMMENT ON FUNCTION settle.command_finish(uuid, jsonb) IS 'records the outcome of a command that was claimed in this transaction; nothing without an id';

-- Advisory locks of the classes of src/batch/run.c: 24183 (0x5e77) is the period's, 24184 (0x5e78) that of a run's
-- processes. Those that SQL can take are of classes 1 and 2.
CREATE FUNCTION settle.own_locks(class integer, period date) RETURNS SETOF oid
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = own_locks.class AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (own_locks.period IS NULL OR classid = ((own_locks.period - date '2000-01-01')::bigint & 4294967295)::oid)
$$;
COMMENT ON FUNCTION settle.own_locks(integer, date) IS 'run ids (low 32 bits; 0 for a period''s own lock) of the locks of runs that are held, of one month or all';

CREATE FUNCTION settle.has_live_run(period date) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$ SELECT EXISTS (SELECT FROM settle.own_locks(24184, has_live_run.period)) $$;
COMMENT ON FUNCTION settle.has_live_run(date) IS 'whether a process of a run of that month is alive';

CREATE FUNCTION settle.run_is_alive(run_id bigint) RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT EXISTS (SELECT FROM settle.own_locks(24184, NULL) AS lock (id) WHERE id = (run_is_alive.run_id & 4294967295)::oid)
$$;
COMMENT ON FUNCTION settle.run_is_alive(bigint) IS 'whether a process of the run is alive; one that shows as running without any has crashed';

CREATE FUNCTION settle.lock_period(period date) RETURNS boolean
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_lock_period';
COMMENT ON FUNCTION settle.lock_period(date) IS 'keeps runs of a month from starting until the transaction ends; false when one is alive';

CREATE FUNCTION settle.unlock_period(period date) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_unlock_period';
COMMENT ON FUNCTION settle.unlock_period(date) IS 'ends settle.lock_period() before the transaction does';

-- A transaction that ends lets go of advisory locks a moment after all others. So one that we have just waited for may
-- still seem to have the period.
CREATE FUNCTION settle.keep_runs_away(period date) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	FOR tries IN 1 .. 10 LOOP
		IF settle.lock_period(keep_runs_away.period) THEN
			RETURN true;
		END IF;
		EXIT WHEN settle.has_live_run(keep_runs_away.period);
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN false;
END $$;
COMMENT ON FUNCTION settle.keep_runs_away(date) IS 'settle.lock_period(), tried for half a second while no run is alive';

CREATE FUNCTION settle.lock_run(run_id bigint) RETURNS settle.run
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.run;
BEGIN
	SELECT * INTO found FROM settle.run WHERE run.run_id = lock_run.run_id FOR NO KEY UPDATE;
	IF found.run_id IS NULL THEN
		RAISE EXCEPTION 'run % does not exist', coalesce(lock_run.run_id::text, 'NULL')
			USING ERRCODE = 'ST008', HINT = 'See settle.run_history.';
	END IF;
	RETURN found;
END $$;
COMMENT ON FUNCTION settle.lock_run(bigint) IS 'the run, locked until the transaction ends; its leader, and whoever wants to resume, release or abandon it, waits. Error ST008: no such run';

CREATE FUNCTION settle.require_reason(reason text, what text, kept_in text DEFAULT 'settle.run_action') RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF btrim(coalesce(reason, '')) = '' THEN
		RAISE EXCEPTION '% needs a reason', what USING ERRCODE = 'invalid_parameter_value', HINT = format('It is kept in %s.', kept_in);
	END IF;
END $$;
COMMENT ON FUNCTION settle.require_reason(text, text, text) IS 'error 22023 when the reason is missing or empty; kept_in: the table where it can be read afterwards';

CREATE FUNCTION settle_stop(run_id bigint, reason text DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.run;
BEGIN
	IF settle.command_claim(command_id, 'settle_stop', jsonb_build_object('run_id', run_id, 'reason', reason)) IS NOT NULL THEN
		RETURN;
	END IF;
	found := settle.lock_run(run_id);
	IF found.state <> 'running' THEN
		RAISE EXCEPTION 'run % is not running but %', found.run_id, found.state USING ERRCODE = 'ST009';
	END IF;
	IF NOT settle.run_is_alive(found.run_id) THEN
		RAISE EXCEPTION 'run % has crashed, so there is nothing to stop', found.run_id
			USING ERRCODE = 'ST009', HINT = 'settle_run() goes on with it, settle_abandon() ends it.';
	END IF;
	UPDATE settle.run SET stop_requested = true WHERE run.run_id = found.run_id;
	INSERT INTO settle.run_action (run_id, action, reason) VALUES (found.run_id, 'stop', settle_stop.reason);
	INSERT INTO settle.run_log (run_id, level, message)
	VALUES (found.run_id, 'info', format('%s asks to stop%s', session_user, ': ' || settle_stop.reason));
	PERFORM settle.command_finish(command_id, 'null');
END $$;
COMMENT ON FUNCTION settle_stop(bigint, text, uuid) IS 'asks a running run to stop at its next chunk, when this transaction commits; settle_run() goes on. Errors: ST008 no such run, ST009 not running or crashed, ST012 command id used otherwise';

CREATE FUNCTION settle.emit_released(run_id bigint) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_emit_released';
COMMENT ON FUNCTION settle.emit_released(bigint) IS 'writes the run.released.v1 event';

CREATE FUNCTION settle_release(run_id bigint, reason text DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.run;
BEGIN
	IF settle.command_claim(command_id, 'settle_release', jsonb_build_object('run_id', run_id, 'reason', reason)) IS NOT NULL THEN
		RETURN;
	END IF;
	found := settle.lock_run(run_id);
	IF found.state NOT IN ('completed', 'abandoned') OR found.kind = 'dry' OR found.voided_at IS NOT NULL THEN
		RAISE EXCEPTION 'run % cannot be released: it is % and %', found.run_id, found.kind,
				CASE WHEN found.voided_at IS NOT NULL THEN 'void' ELSE found.state::text END
			USING ERRCODE = 'ST009', HINT = 'Only runs that have ended and keep the bills they wrote are released.';
	END IF;
	IF found.released_at IS NOT NULL THEN
		RAISE EXCEPTION 'run % was released at %', found.run_id, found.released_at USING ERRCODE = 'ST009';
	END IF;
	UPDATE settle.run SET released_at = now() WHERE run.run_id = found.run_id;
	INSERT INTO settle.run_action (run_id, action, reason) VALUES (found.run_id, 'release', settle_release.reason);
	INSERT INTO settle.run_log (run_id, level, message) VALUES (found.run_id, 'info', format('released by %s', session_user));
	PERFORM settle.emit_released(found.run_id);
	PERFORM settle.command_finish(command_id, 'null');
END $$;
COMMENT ON FUNCTION settle_release(bigint, text, uuid) IS 'lets customers hear of a completed run made with release => manual, or of the bills an abandoned run keeps: writes run.released.v1. Errors: ST008 no such run, ST009 not ended, void, or released already, ST012 command id used otherwise';

CREATE FUNCTION settle.void_bills(run_id bigint) RETURNS bigint
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'settle_void_bills';
COMMENT ON FUNCTION settle.void_bills(bigint) IS 'takes back the bills of a run that are their account''s newest: writes a void revision and a bill.voided.v1 event for each; returns how many';

CREATE FUNCTION settle_abandon(run_id bigint, reason text, void boolean DEFAULT false, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_abandon',
		jsonb_build_object('run_id', run_id, 'reason', reason, 'void', void));
	found settle.run;
	voided bigint := 0;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'abandoning a run');
	IF void IS NULL THEN
		RAISE EXCEPTION 'void must be true or false' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	-- Under an older snapshot bills that the run has just written would not be seen.
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'settle_abandon() needs isolation level READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	found := settle.lock_run(run_id);
	IF found.state = 'running' AND settle.run_is_alive(found.run_id) THEN
		RAISE EXCEPTION 'run % is running', found.run_id
			USING ERRCODE = 'ST009', HINT = format('Stop it first with settle_stop(%s).', found.run_id);
	END IF;
	IF found.released_at IS NOT NULL THEN
		RAISE EXCEPTION 'run % was released at %', found.run_id, found.released_at
			USING ERRCODE = 'ST009', HINT = 'Customers may have heard of its bills. Charge or credit the difference in settle.adjustment of the next month.';
	END IF;
	IF found.state = 'completed' AND NOT void OR found.state = 'abandoned' AND (NOT void OR found.voided_at IS NOT NULL) THEN
		RAISE EXCEPTION 'run % is % already', found.run_id, found.state
			USING ERRCODE = 'ST009', HINT = CASE WHEN found.voided_at IS NULL THEN CASE WHEN found.kind = 'dry' THEN 'A dry run has no bills.' ELSE 'With void => true its bills are taken back.' END
				ELSE format('Its bills were taken back at %s.', found.voided_at) END;
	END IF;

	-- A worker may outlive its leader by the chunk it is in: this waits for that chunk, and fences the worker off.
	UPDATE settle.run_slice SET attempt = attempt + 1, state = 'pending', worker_pid = NULL
	WHERE run_slice.run_id = found.run_id AND state <> 'done';
	IF void AND found.kind <> 'dry' THEN
		voided := settle.void_bills(found.run_id);
	END IF;
	UPDATE settle.run SET state = 'abandoned', message = settle_abandon.reason,
		finished_at = coalesce(finished_at, now()), voided_at = CASE WHEN void AND found.kind <> 'dry' THEN now() END
	WHERE run.run_id = found.run_id;
	INSERT INTO settle.run_action (run_id, action, reason)
	VALUES (found.run_id, CASE WHEN void THEN 'void' ELSE 'abandon' END, settle_abandon.reason);
	INSERT INTO settle.run_log (run_id, level, message) VALUES (found.run_id, 'warning',
		format('abandoned by %s%s: %s', session_user, CASE WHEN void THEN format(', %s bills taken back', voided) END, reason));
	PERFORM settle.command_finish(command_id, to_jsonb(voided));
	RETURN voided;
END $$;
COMMENT ON FUNCTION settle_abandon(bigint, text, boolean, uuid) IS
'ends a run that stopped, failed or crashed for good; returns the number of bills taken back. The bills it wrote stay (settle_release() lets customers hear of them), and the next final run takes the accounts without one.
void => true takes its bills back, each by a void revision with a bill.voided.v1 event; also for a completed run that was not released.
Errors: 22023 no reason, ST008 no such run, ST009 running, released or abandoned already, ST012 command id used otherwise';

CREATE FUNCTION settle.list_accounts(accounts bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_to_string(accounts[1:5], ', ', 'NULL') || CASE WHEN cardinality(accounts) > 5 THEN ' …' ELSE '' END;
COMMENT ON FUNCTION settle.list_accounts(bigint[]) IS 'the first accounts, for messages';

CREATE FUNCTION settle.skipped_accounts(run_id bigint, accounts bigint[], wanted settle.error_status[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	skipped CONSTANT bigint[] := ARRAY(SELECT DISTINCT e.account_id FROM settle.run_error AS e
		WHERE e.run_id = skipped_accounts.run_id AND e.status = ANY (wanted)
			AND (accounts IS NULL OR e.account_id = ANY (accounts)) ORDER BY e.account_id);
	missing CONSTANT bigint[] := ARRAY(SELECT a FROM unnest(accounts) AS a WHERE a IS NULL OR a <> ALL (skipped) ORDER BY a);
BEGIN
	IF cardinality(missing) > 0 THEN
		RAISE EXCEPTION 'run % has no skipped account % to deal with', skipped_accounts.run_id, settle.list_accounts(missing)
			USING ERRCODE = 'invalid_parameter_value', HINT = format('See settle.run_error of run %s.', skipped_accounts.run_id);
	END IF;
	IF cardinality(skipped) = 0 THEN
		RAISE EXCEPTION 'run % has no skipped accounts to deal with', skipped_accounts.run_id
			USING ERRCODE = 'ST009', HINT = format('See settle.run_error of run %s.', skipped_accounts.run_id);
	END IF;
	RETURN skipped;
END $$;
COMMENT ON FUNCTION settle.skipped_accounts(bigint, bigint[], settle.error_status[]) IS 'the given skipped accounts of a run, or all of them (NULL), in one of these states. Errors: 22023 one was not skipped, ST009 there is none';

CREATE FUNCTION settle_error_mark(run_id bigint, accounts bigint[], status text, reason text, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_error_mark',
		jsonb_build_object('run_id', run_id, 'accounts', accounts, 'status', status, 'reason', reason));
	marked bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	IF status IS NULL OR status <> ALL (enum_range(NULL::settle.error_status)::text[]) THEN
		RAISE EXCEPTION 'unknown status %', coalesce(quote_literal(status), 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use open, resolved, ignored or failed.';
	END IF;
	PERFORM settle.require_reason(reason, 'marking skipped accounts');
	PERFORM settle.lock_run(run_id);
	-- It may be trying them again at this moment.
	IF settle.run_is_alive(run_id) THEN
		RAISE EXCEPTION 'run % is running', settle_error_mark.run_id
			USING ERRCODE = 'ST009', HINT = format('Wait for its end, or stop it with settle_stop(%s).', settle_error_mark.run_id);
	END IF;
	accounts := settle.skipped_accounts(run_id, accounts,
		CASE WHEN accounts IS NULL THEN '{open}' ELSE enum_range(NULL::settle.error_status) END);
	UPDATE settle.run_error AS e
	SET status = settle_error_mark.status::settle.error_status, marked_by = session_user, marked_at = now(), mark_reason = reason
	WHERE e.run_id = settle_error_mark.run_id AND e.severity = 'error' AND e.account_id = ANY (accounts);
	GET DIAGNOSTICS marked = ROW_COUNT;
	INSERT INTO settle.run_action (run_id, action, accounts, reason)
	VALUES (settle_error_mark.run_id, 'mark ' || settle_error_mark.status, settle_error_mark.accounts, settle_error_mark.reason);
	PERFORM settle.command_finish(command_id, to_jsonb(marked));
	RETURN marked;
END $$;
COMMENT ON FUNCTION settle_error_mark(bigint, bigint[], text, text, uuid) IS 'says what became of skipped accounts of a run (NULL: all that are open): open, resolved, ignored or failed, and why; returns the number of rows. Only open ones are tried again; ignored holds for the month: its runs leave the account out unless it is named. Errors: 22023 unknown status, no reason, or an account that was not skipped, ST008 no such run, ST009 none was skipped or the run is running, ST012 command id used otherwise';

CREATE FUNCTION settle_retry(run_id bigint, accounts bigint[] DEFAULT NULL, reason text DEFAULT NULL, wait boolean DEFAULT true, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.run;
	earlier settle.command;
	again bigint[];
	retry bigint;
BEGIN
	SELECT * INTO found FROM settle.run WHERE run.run_id = settle_retry.run_id;
	IF found.run_id IS NULL THEN
		RAISE EXCEPTION 'run % does not exist', coalesce(settle_retry.run_id::text, 'NULL')
			USING ERRCODE = 'ST008', HINT = 'See settle.run_history.';
	END IF;
	SELECT * INTO earlier FROM settle.command AS c WHERE c.command_id = settle_retry.command_id;
	IF earlier.command_id IS NOT NULL THEN
		-- A repeat: its accounts are not open any more. settle_run() compares them, and all else, with those of the first call.
		again := coalesce(accounts, CASE WHEN jsonb_typeof(earlier.arguments -> 'accounts') = 'array'
			THEN ARRAY(SELECT jsonb_array_elements_text(earlier.arguments -> 'accounts')::bigint) END);
	ELSIF found.kind = 'dry' OR found.state <> 'completed' THEN
		RAISE EXCEPTION 'run % cannot be retried: it is % and %', found.run_id, found.kind, found.state
			USING ERRCODE = 'ST009', HINT = CASE WHEN found.state <> 'completed' AND found.state <> 'abandoned'
				THEN 'settle_run() goes on with it and tries what was skipped again.'
				ELSE 'Use settle_run() for accounts without a bill.' END;
	ELSE
		again := settle.skipped_accounts(found.run_id, accounts, '{open}');
	END IF;
	-- All arguments, by position and of the exact types: in a schema where others may create functions, one that fitted better
	-- would run with the rights of the owner.
	retry := @extschema@.settle_run(to_char(found.period, 'YYYY-MM'), 'retry'::text, NULL::integer, NULL::integer,
		cardinality(again)::bigint, again, found.release, wait, false, command_id);
	-- After it, because a run cannot be called in a transaction that has written; its own start is recorded by itself.
	INSERT INTO settle.run_action (run_id, action, accounts, reason)
	SELECT found.run_id, format('retry as run %s', retry), again, settle_retry.reason
	WHERE NOT EXISTS (SELECT FROM settle.run_action AS a WHERE a.run_id = found.run_id AND a.action = format('retry as run %s', retry));
	RETURN retry;
END $$;
COMMENT ON FUNCTION settle_retry(bigint, bigint[], text, boolean, uuid) IS 'after a correction, settles accounts that a completed run skipped (NULL: all that are open) in a run of kind retry, and returns that run''s id. Those that get a bill, or have nothing to charge any more, are marked resolved. Errors: 22023 an account was not skipped or is not open, ST008 no such run, ST009 dry, not completed, or nothing open, and those of settle_run()';

CREATE FUNCTION settle_run_log(run_id bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	PERFORM FROM settle.run WHERE run.run_id = settle_run_log.run_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'run % does not exist', coalesce(settle_run_log.run_id::text, 'NULL')
			USING ERRCODE = 'ST008', HINT = 'See settle.run_history.';
	END IF;
	RETURN (SELECT string_agg(format('%s  %s  %s%s', to_char(l.at, 'YYYY-MM-DD HH24:MI:SS'), rpad(l.level::text, 7),
			'slice ' || l.slice || ': ', l.message), E'\n' ORDER BY l.log_id)
		FROM settle.run_log AS l WHERE l.run_id = settle_run_log.run_id);
END $$;
COMMENT ON FUNCTION settle_run_log(bigint) IS 'what happened in a run, a line each: time, level, slice, text. Error ST008: no such run';
