-- ------------------------------------------------------------------------------------------------------------------
-- 14 Relay: how the outbox gets to Kafka
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle_relay_setup(slot text DEFAULT 'settle_relay', command_id uuid DEFAULT NULL) RETURNS pg_lsn
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found pg_replication_slots;
	earlier jsonb;
	plugins text;
	start pg_lsn;
BEGIN
	IF slot IS NULL THEN
		RAISE EXCEPTION 'slot must not be NULL' USING ERRCODE = 'null_value_not_allowed';
	ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
		-- An older snapshot would not show all events that were written before the slot.
		RAISE EXCEPTION 'settle_relay_setup() needs isolation level READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
	END IF;
	-- A slot cannot be made in a transaction that has written, so the command is looked up first and recorded last.
	IF command_id IS NOT NULL THEN
		earlier := settle.command_find(command_id, 'settle_relay_setup', jsonb_build_object('slot', slot));
		IF earlier IS NOT NULL THEN
			RETURN earlier #>> '{}';
		END IF;
	END IF;
	IF current_setting('wal_level') <> 'logical' THEN
		RAISE EXCEPTION 'wal_level is %, but a logical replication slot needs logical', current_setting('wal_level')
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Put this line into postgresql.conf and restart the server: wal_level = logical';
	END IF;
	-- Minor releases since 2026 allow only the plugins of this list.
	plugins := current_setting('output_plugin_libraries', true);
	IF plugins IS NOT NULL AND NOT 'settle' = ANY (string_to_array(replace(plugins, ' ', ''), ',')) THEN
		RAISE EXCEPTION 'output plugin "settle" is not in output_plugin_libraries'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('Put this line into postgresql.conf and reload the server: output_plugin_libraries = ''%s''',
					concat_ws(', ', nullif(plugins, ''), 'settle'));
	END IF;
	SELECT * INTO found FROM pg_replication_slots WHERE slot_name = slot;
	IF found.slot_name IS NOT NULL THEN
		RAISE EXCEPTION 'replication slot "%" exists already', slot
			USING ERRCODE = 'duplicate_object', DETAIL = format('It is of plugin %s in database %s.', found.plugin, found.database),
				HINT = 'A relay goes on with it; to begin anew, SELECT pg_drop_replication_slot(…) first.';
	END IF;
	SELECT lsn INTO start FROM pg_create_logical_replication_slot(slot, 'settle');
	IF settle.command_claim(command_id, 'settle_relay_setup', jsonb_build_object('slot', slot)) IS NOT NULL THEN
		PERFORM pg_drop_replication_slot(slot); -- a rollback would leave it
		RAISE EXCEPTION 'another session has just executed this command' USING ERRCODE = 'serialization_failure';
	END IF;
	-- What an earlier slot of this name had is not what this one has.
	DELETE FROM settle.relay_start AS r WHERE r.slot = settle_relay_setup.slot;
	DELETE FROM settle.relay_progress AS p WHERE p.slot = settle_relay_setup.slot;
	PERFORM settle.note_relays();
	PERFORM settle.command_finish(command_id, to_jsonb(start::text));
	RETURN start;
END $$;
COMMENT ON FUNCTION settle_relay_setup(text, uuid) IS 'makes the replication slot that settle-relay reads the outbox from; events written from now on are kept until the relay has brought them to Kafka. Returns where it begins. For settle_admin; not in a transaction that has written. Errors: 22004 slot is NULL, 25000 isolation level, 55000 wal_level or output_plugin_libraries, 42710 the slot exists, 53400 no free slot (max_replication_slots), ST012 command id used otherwise';

-- ---- what the relay tells -----------------------------------------------------------------------------------------------

CREATE TABLE settle.relay_progress (
	slot text NOT NULL,
	period settle.period NOT NULL,
	events bigint NOT NULL,
	lsn pg_lsn NOT NULL,
	last_event_at timestamptz NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT relay_progress_key PRIMARY KEY (slot, period)
);
COMMENT ON TABLE settle.relay_progress IS 'how many events of each month a relay has brought to Kafka; written by settle-relay once a second, after a Kafka commit';
COMMENT ON COLUMN settle.relay_progress.slot IS 'the relay''s replication slot';
COMMENT ON COLUMN settle.relay_progress.period IS 'the month';
COMMENT ON COLUMN settle.relay_progress.events IS 'events that Kafka holds, as counted in the relay''s Kafka transactions: exact after any crash when delivery is exactly once. Those sent again are counted again, those put aside are not';
COMMENT ON COLUMN settle.relay_progress.lsn IS 'end of the last database transaction that Kafka holds as a whole';
COMMENT ON COLUMN settle.relay_progress.last_event_at IS 'commit time of the last event''s transaction, of whatever month';
COMMENT ON COLUMN settle.relay_progress.recorded_at IS 'when the relay wrote this row';

CREATE TABLE settle.relay_start (
	slot text NOT NULL CONSTRAINT relay_start_key PRIMARY KEY,
	lsn pg_lsn NOT NULL,
	lacks date[] NOT NULL
);
COMMENT ON TABLE settle.relay_start IS 'which months each relay''s slot came too late for. A slot brings all that is committed while it exists, so it can lack only what had been written before';
COMMENT ON COLUMN settle.relay_start.slot IS 'the relay''s replication slot';
COMMENT ON COLUMN settle.relay_start.lsn IS 'where it was when this row was written: its beginning, when settle_relay_setup() made it';
COMMENT ON COLUMN settle.relay_start.lacks IS 'months that had events then and were not sent again as a whole since; settle_outbox_prune() keeps them';

CREATE TABLE settle.relay_error (
	error_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT relay_error_key PRIMARY KEY,
	slot text NOT NULL,
	event_id text NOT NULL,
	event_type text NOT NULL,
	account_id bigint,
	period settle.period NOT NULL,
	action text NOT NULL CONSTRAINT relay_error_action_known CHECK (action IN ('stop', 'dead-letter')),
	message text NOT NULL,
	commit_lsn pg_lsn NOT NULL,
	attempts integer NOT NULL DEFAULT 1,
	refused_at timestamptz NOT NULL DEFAULT now(),
	republished_at timestamptz,
	CONSTRAINT relay_error_once UNIQUE (slot, event_id)
);
COMMENT ON TABLE settle.relay_error IS 'events that Kafka did not take; settle_republish(event_ids) sends them again';
COMMENT ON COLUMN settle.relay_error.error_id IS 'identifier';
COMMENT ON COLUMN settle.relay_error.slot IS 'the relay''s replication slot';
COMMENT ON COLUMN settle.relay_error.event_id IS 'the event';
COMMENT ON COLUMN settle.relay_error.event_type IS 'its type';
COMMENT ON COLUMN settle.relay_error.account_id IS 'its account; NULL for events of runs';
COMMENT ON COLUMN settle.relay_error.period IS 'its month';
COMMENT ON COLUMN settle.relay_error.action IS 'stop: the relay ended and waits for the cause to be mended; dead-letter: it was put aside, see the relay''s setting relay.poison';
COMMENT ON COLUMN settle.relay_error.message IS 'why it was refused';
COMMENT ON COLUMN settle.relay_error.commit_lsn IS 'commit of the transaction that wrote it';
COMMENT ON COLUMN settle.relay_error.attempts IS 'how often it was refused';
COMMENT ON COLUMN settle.relay_error.refused_at IS 'when it was refused last';
COMMENT ON COLUMN settle.relay_error.republished_at IS 'when settle_republish() has sent it again since; NULL = it has not';

-- A relay that a newer one has displaced may tell late, and an older count must not win: the WAL only grows, so what is
-- older has a smaller LSN, or the same in the midst of one transaction and then a smaller count. Counts that fell although
-- the LSN rose are of a relay that began anew because an operator let it forget its position. That is done when the slot
-- was made anew or moved, so nothing that was known of the slot holds any more. A relay tells all months it counts, at
-- most 32 (notifier/relay/position.h); beyond that it forgets the oldest, and one that is missing says nothing.
CREATE FUNCTION settle.relay_record(slot text, lsn pg_lsn, last_event_at timestamptz, periods date[], events bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	PERFORM FROM settle.relay_progress AS p
		LEFT JOIN unnest(relay_record.periods, relay_record.events) AS told (period, events) ON told.period = p.period
	WHERE p.slot = relay_record.slot AND p.lsn < relay_record.lsn AND coalesce(told.events, 0) < p.events
		AND (told.period IS NOT NULL OR cardinality(relay_record.periods) BETWEEN 1 AND 31);
	IF FOUND THEN
		DELETE FROM settle.relay_start AS r WHERE r.slot = relay_record.slot;
		DELETE FROM settle.relay_progress AS p WHERE p.slot = relay_record.slot;
	END IF;
	INSERT INTO settle.relay_progress AS p (slot, period, events, lsn, last_event_at)
	SELECT relay_record.slot, told.period, told.events, relay_record.lsn, coalesce(relay_record.last_event_at, now())
	FROM unnest(relay_record.periods, relay_record.events) AS told (period, events)
	ON CONFLICT ON CONSTRAINT relay_progress_key
	DO UPDATE SET events = excluded.events, lsn = excluded.lsn, last_event_at = coalesce(relay_record.last_event_at, p.last_event_at), recorded_at = now()
	WHERE (p.lsn, p.events) <= (excluded.lsn, excluded.events);
END $$;
COMMENT ON FUNCTION settle.relay_record(text, pg_lsn, timestamptz, date[], bigint[]) IS 'what settle-relay calls once a second, and when it has read its position: events of each month that Kafka holds, in all; last_event_at NULL = not known. What is older than what was told is left out';

CREATE FUNCTION settle.relay_refuse(slot text, event_id text, event_type text, account_id bigint, period date, action text,
	message text, commit_lsn pg_lsn) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	INSERT INTO settle.relay_error AS e (slot, event_id, event_type, account_id, period, action, message, commit_lsn)
	VALUES (relay_refuse.slot, relay_refuse.event_id, relay_refuse.event_type, relay_refuse.account_id, relay_refuse.period,
		relay_refuse.action, relay_refuse.message, relay_refuse.commit_lsn)
	ON CONFLICT ON CONSTRAINT relay_error_once
	DO UPDATE SET action = excluded.action, message = excluded.message, commit_lsn = excluded.commit_lsn,
		attempts = e.attempts + 1, refused_at = now(), republished_at = NULL;
$$;
COMMENT ON FUNCTION settle.relay_refuse(text, text, text, bigint, date, text, text, pg_lsn) IS 'what settle-relay calls for an event that Kafka does not take, before it goes on';

-- pg_stat_replication hides this from those without pg_read_all_stats.
CREATE FUNCTION settle.sender_lag(pid integer) RETURNS interval
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT flush_lag FROM pg_stat_replication WHERE pg_stat_replication.pid = sender_lag.pid
$$;
COMMENT ON FUNCTION settle.sender_lag(integer) IS 'time between WAL being on disk and the consumer of this sender having confirmed it, as last measured; NULL when it has nothing to confirm';

CREATE VIEW settle.relay_status AS
SELECT coalesce(s.slot_name, p.slot) AS slot,
	CASE WHEN s.slot_name IS NULL THEN 'dropped' WHEN s.wal_status = 'lost' THEN 'lost' WHEN s.active THEN 'streaming' ELSE 'stopped' END AS state,
	s.active_pid AS pid, s.confirmed_flush_lsn AS confirmed_lsn,
	pg_wal_lsn_diff(here.lsn, s.confirmed_flush_lsn)::bigint AS lag_bytes,
	settle.sender_lag(s.active_pid) AS lag,
	pg_wal_lsn_diff(here.lsn, s.restart_lsn)::bigint AS retained_bytes, s.safe_wal_size AS safe_bytes,
	coalesce(p.events, 0) AS events, p.last_event_at, p.recorded_at,
	(SELECT count(*) FROM settle.relay_error AS e
		WHERE e.slot = coalesce(s.slot_name, p.slot) AND e.republished_at IS NULL
			AND (e.action = 'dead-letter' OR s.slot_name IS NULL OR e.commit_lsn >= s.confirmed_flush_lsn)) AS errors
FROM (SELECT * FROM pg_replication_slots WHERE plugin = 'settle' AND database = current_database()) AS s
FULL JOIN (
	SELECT slot, sum(events)::bigint AS events, max(last_event_at) AS last_event_at, max(recorded_at) AS recorded_at
	FROM settle.relay_progress GROUP BY slot) AS p ON p.slot = s.slot_name
CROSS JOIN LATERAL (
	SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) AS here (lsn)
ORDER BY 1;
COMMENT ON VIEW settle.relay_status IS 'the relays of this database: how far they are and what they lack';
COMMENT ON COLUMN settle.relay_status.slot IS 'replication slot, made by settle_relay_setup()';
COMMENT ON COLUMN settle.relay_status.state IS 'streaming; stopped = no relay is connected, and WAL is kept for it; lost = the server has removed WAL that was needed; dropped = the slot is gone';
COMMENT ON COLUMN settle.relay_status.pid IS 'the server''s process that sends to the relay';
COMMENT ON COLUMN settle.relay_status.confirmed_lsn IS 'every event committed before is in Kafka';
COMMENT ON COLUMN settle.relay_status.lag_bytes IS 'WAL that is not confirmed; an idle relay confirms every 10 s';
COMMENT ON COLUMN settle.relay_status.lag IS 'time from WAL being on disk to its confirmation, as last measured; NULL when nothing is to be confirmed';
COMMENT ON COLUMN settle.relay_status.retained_bytes IS 'WAL that the server keeps for the slot';
COMMENT ON COLUMN settle.relay_status.safe_bytes IS 'WAL that can still be written before the slot is lost; NULL without max_slot_wal_keep_size';
COMMENT ON COLUMN settle.relay_status.events IS 'events that Kafka holds, of all months; see relay_progress';
COMMENT ON COLUMN settle.relay_status.last_event_at IS 'commit time of the last one''s transaction';
COMMENT ON COLUMN settle.relay_status.recorded_at IS 'when the relay last told of events';
COMMENT ON COLUMN settle.relay_status.errors IS 'events that Kafka refused and that have not been sent again, see relay_error';

-- ---- sending again --------------------------------------------------------------------------------------------------------

-- The output plugin reads inserts into this table as those into settle.outbox. A row of the outbox stands for what was
-- settled, once; what is only sent again must leave no second one there.
CREATE TABLE settle.outbox_republish (LIKE settle.outbox);
-- A publication FOR ALL TABLES would else forbid the delete.
ALTER TABLE settle.outbox_republish REPLICA IDENTITY FULL;
COMMENT ON TABLE settle.outbox_republish IS 'events on their way to be sent again: settle_republish() inserts and deletes them in one transaction, so it is always empty';
COMMENT ON COLUMN settle.outbox_republish.account_id IS 'as in outbox';
COMMENT ON COLUMN settle.outbox_republish.created_at IS 'as in outbox';
COMMENT ON COLUMN settle.outbox_republish.period IS 'as in outbox';
COMMENT ON COLUMN settle.outbox_republish.event_type IS 'as in outbox';
COMMENT ON COLUMN settle.outbox_republish.event_id IS 'as in outbox';
COMMENT ON COLUMN settle.outbox_republish.payload IS 'as in outbox';

CREATE FUNCTION settle.require_relay() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	PERFORM FROM pg_replication_slots WHERE plugin = 'settle' AND database = current_database();
	IF NOT FOUND THEN
		RAISE EXCEPTION 'this database has no replication slot of a relay'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'SELECT settle_relay_setup(); makes it.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.require_relay() IS 'error 55000 when no relay would hear of an event';

-- What a slot lacks is noted when it exists already, with a later snapshot: what that does not show is committed after the
-- slot's beginning and comes through it. A slot that was made by hand gets its row here; it is taken to lack every month
-- that has events now. The rows stay locked, so a slot that is made anew meanwhile waits with its own row.
CREATE FUNCTION settle.note_relays() RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	slots text[];
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RETURN '{}'; -- there is no later snapshot
	END IF;
	-- one that is being made has no confirmed_flush_lsn yet, nor a beginning
	slots := ARRAY(SELECT s.slot_name FROM pg_replication_slots AS s
		WHERE s.plugin = 'settle' AND s.database = current_database() AND s.confirmed_flush_lsn IS NOT NULL);
	DELETE FROM settle.relay_start AS r WHERE r.slot <> ALL (slots);
	INSERT INTO settle.relay_start (slot, lsn, lacks)
	SELECT s.slot_name, s.confirmed_flush_lsn, ARRAY(SELECT m FROM settle.months_of('outbox') AS m WHERE EXISTS (SELECT FROM settle.outbox AS o WHERE o.period = m) ORDER BY m)
	FROM pg_replication_slots AS s
	WHERE s.slot_name = ANY (slots) AND NOT EXISTS (SELECT FROM settle.relay_start AS r WHERE r.slot = s.slot_name)
	ON CONFLICT ON CONSTRAINT relay_start_key DO NOTHING;
	PERFORM FROM settle.relay_start AS r WHERE r.slot = ANY (slots) ORDER BY r.slot FOR UPDATE;
	RETURN slots;
END $$;
COMMENT ON FUNCTION settle.note_relays() IS 'keeps settle.relay_start in step with the slots of this database and locks its rows; returns the slots whose rows it locked, none unless isolation is READ COMMITTED';

-- An event at which a relay has stopped is still in its slot: sent again, it would be there twice.
CREATE FUNCTION settle.refuse_pending(month date, accounts bigint[], event_ids text[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	pending record;
BEGIN
	SELECT e.event_id, e.slot INTO pending
	FROM settle.relay_error AS e JOIN pg_replication_slots AS s ON s.slot_name = e.slot
	WHERE e.period = month AND e.action = 'stop' AND e.commit_lsn >= s.confirmed_flush_lsn
		AND s.plugin = 'settle' AND s.database = current_database()
		AND (accounts IS NULL OR e.account_id = ANY (accounts)) AND (event_ids IS NULL OR e.event_id = ANY (event_ids))
	ORDER BY e.error_id LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'the relay of slot % stopped at event %, which waits there', pending.slot, pending.event_id
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'Sent again, it would come twice.',
				HINT = 'Mend the cause, see settle.relay_error, and start the relay; or start it with relay.poison = dead-letter, and send the event again then.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.refuse_pending(date, bigint[], text[]) IS 'error 55000 when a relay has stopped at one of these events and not gone past it';

-- Revisions of an account keep their order: the ids of one account and month differ in the revision only, and a longer
-- number is a larger one. A whole month sent again makes good what a slot lacks, as it holds every event that the
-- slot came too late for; a part of it does not, however often it is sent. The relays are noted first, for a later snapshot.
CREATE FUNCTION settle.send_again(month date, accounts bigint[], event_ids text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	slots CONSTANT text[] := settle.note_relays();
	sent bigint;
BEGIN
	PERFORM settle.refuse_pending(month, accounts, event_ids);
	INSERT INTO settle.outbox_republish (account_id, created_at, period, event_type, event_id, payload)
	SELECT o.account_id, o.created_at, o.period, o.event_type, o.event_id, o.payload FROM settle.outbox AS o
	WHERE o.period = send_again.month AND (send_again.accounts IS NULL OR o.account_id = ANY (send_again.accounts))
		AND (send_again.event_ids IS NULL OR o.event_id = ANY (send_again.event_ids))
	ORDER BY o.account_id, CASE WHEN o.account_id IS NULL THEN o.created_at END, length(o.event_id), o.event_id;
	GET DIAGNOSTICS sent = ROW_COUNT;
	IF accounts IS NULL AND (event_ids IS NULL OR sent = (SELECT count(*) FROM settle.outbox AS o WHERE o.period = month)) THEN
		UPDATE settle.relay_start AS r SET lacks = array_remove(r.lacks, month) WHERE r.slot = ANY (slots) AND month = ANY (r.lacks);
	END IF;
	UPDATE settle.relay_error AS e SET republished_at = now()
	WHERE e.period = send_again.month AND e.event_id IN (SELECT r.event_id FROM settle.outbox_republish AS r);
	DELETE FROM settle.outbox_republish;
	IF sent > 0 THEN
		INSERT INTO settle.month_action (period, action, rows)
		VALUES (send_again.month, 'republish', jsonb_build_object('outbox', sent));
	END IF;
	RETURN sent;
END $$;
COMMENT ON FUNCTION settle.send_again(date, bigint[], text[]) IS 'writes the events of a month, of some accounts or with some ids, once more for the relay; returns how many. When that is the whole month, its slots lack nothing of it';

CREATE FUNCTION settle_republish(period text, accounts bigint[] DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_republish',
		jsonb_build_object('period', period, 'accounts', accounts));
	missing bigint[];
	sent bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_relay();
	IF NOT settle.is_attached('outbox', month) THEN
		RAISE EXCEPTION 'month % is not open', period USING ERRCODE = 'ST003', DETAIL = 'It has no events.';
	END IF;
	missing := ARRAY(SELECT DISTINCT a.account_id FROM unnest(accounts) AS a (account_id)
		WHERE NOT EXISTS (SELECT FROM settle.bill AS b WHERE b.period = month AND b.account_id = a.account_id)
		ORDER BY a.account_id);
	IF cardinality(missing) > 0 THEN
		RAISE EXCEPTION 'no bill of % for account %', period, coalesce(missing[1]::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('%s of the given accounts have none.', cardinality(missing));
	END IF;
	IF settle.pruned_at(month) IS NOT NULL THEN
		RAISE EXCEPTION 'events of % were pruned', period
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('At %s, see settle.month_action.', settle.pruned_at(month)), HINT = 'Those that came later can be sent again by their ids.';
	END IF;
	sent := settle.send_again(month, accounts, NULL);
	PERFORM settle.command_finish(command_id, to_jsonb(sent));
	RETURN sent;
END $$;
COMMENT ON FUNCTION settle_republish(text, bigint[], uuid) IS 'sends the events of a month again, with the same ids, for a consumer that lost them: all of them, or those of some accounts. Returns how many; the relay sends them when this transaction commits. An old revision may so come after a newer one that was sent before: consumers compare `revision` and keep the highest. Sent as a whole (isolation level READ COMMITTED), the month can be pruned although a slot came too late for it. Errors: 22023 malformed month, or an account without a bill of it, 55000 no relay, events pruned, or a relay that stopped at one of them, ST003 month not open, ST012 command id used otherwise';

CREATE FUNCTION settle_republish(event_ids text[], command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_republish', jsonb_build_object('event_ids', event_ids));
	wrong text;
	missing text[];
	month date;
	sent bigint := 0;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	IF event_ids IS NULL THEN
		RAISE EXCEPTION 'event_ids must not be NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM settle.require_relay();
	SELECT id INTO wrong FROM unnest(event_ids) AS id WHERE id !~ '^[^/]+/[0-9]{4}-(0[1-9]|1[0-2])/' OR id ~ '^[^/]+/0000' OR id IS NULL LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'not the id of an event: %', coalesce(wrong, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'An id is like bill/2024-05/42/0, see settle.outbox.event_id.';
	END IF;
	FOR month IN SELECT DISTINCT settle.parse_period(split_part(id, '/', 2))::date FROM unnest(event_ids) AS id ORDER BY 1 LOOP
		missing := missing || ARRAY(
			SELECT DISTINCT id FROM unnest(event_ids) AS id WHERE split_part(id, '/', 2) = to_char(month, 'YYYY-MM')
			EXCEPT SELECT o.event_id FROM settle.outbox AS o WHERE o.period = month AND o.event_id = ANY (event_ids));
	END LOOP;
	IF cardinality(missing) > 0 THEN
		RAISE EXCEPTION 'event % is not in settle.outbox', missing[1]
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('%s of the given events are not there; none was sent.', cardinality(missing)),
				HINT = 'Events of pruned and dropped months cannot be sent again, see settle.month_action.';
	END IF;
	FOR month IN SELECT DISTINCT settle.parse_period(split_part(id, '/', 2))::date FROM unnest(event_ids) AS id ORDER BY 1 LOOP
		sent := sent + settle.send_again(month, NULL, event_ids);
	END LOOP;
	PERFORM settle.command_finish(command_id, to_jsonb(sent));
	RETURN sent;
END $$;
COMMENT ON FUNCTION settle_republish(text[], uuid) IS 'sends these events again, with the same ids: for a consumer that lost them, or after Kafka refused them (settle.relay_error). Returns how many; all or none. An old revision may so come after a newer one: consumers compare `revision` and keep the highest. Not for an event at which a relay has stopped: it waits in the slot and would come twice. Reads the outbox of their months whole. Errors: 22004 event_ids is NULL, 22023 an event that is not there, 55000 no relay, or one that stopped at an event, ST012 command id used otherwise';

-- ---- pruning ----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.flush_wal(lsn pg_lsn) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'settle_flush_wal';
COMMENT ON FUNCTION settle.flush_wal(pg_lsn) IS 'writes the WAL up to here to disk';

-- An event that was counted before the message was written was committed before it. So when every relay has confirmed the
-- message, Kafka holds them all.
CREATE FUNCTION settle.wait_for_relays(bound pg_lsn, patience interval) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	began CONSTANT timestamptz := clock_timestamp();
	slot record;
BEGIN
	LOOP
		SELECT slot_name, active, confirmed_flush_lsn AS lsn INTO slot FROM pg_replication_slots
		WHERE plugin = 'settle' AND database = current_database() AND confirmed_flush_lsn < bound
		ORDER BY active, slot_name LIMIT 1;
		IF slot.slot_name IS NULL THEN
			RETURN NULL;
		ELSIF NOT slot.active THEN
			RETURN format('no relay is connected to slot %s, which is at %s', slot.slot_name, slot.lsn);
		ELSIF clock_timestamp() - began > patience THEN
			RETURN format('the relay of slot %s is at %s, which is not far enough', slot.slot_name, slot.lsn);
		END IF;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.wait_for_relays(pg_lsn, interval) IS 'waits until every relay of this database has confirmed what was committed before; NULL, or why one has not';

CREATE FUNCTION settle.refused_objection(month date) RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT format('Kafka refused %s of its events, see settle.relay_error', count(*)) FROM settle.relay_error AS e
	WHERE e.period = month AND e.action = 'dead-letter' AND e.republished_at IS NULL HAVING count(*) > 0
$$;
COMMENT ON FUNCTION settle.refused_objection(date) IS 'says how many events of a month Kafka refused and nobody has sent again; NULL when there are none';

-- That a slot has confirmed everything proves what was committed since its beginning, so the month must be none that it
-- lacks. That alone decides which events Kafka has: a count holds those sent again too, and cannot tell which they were.
-- It must be large enough all the same, which it is not when somebody moved the slot by hand.
CREATE FUNCTION settle.prune_objection(month date, events bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	remedy CONSTANT text := CASE WHEN settle.pruned_at(month) IS NULL THEN format('SELECT settle_republish(%L)', to_char(month, 'YYYY-MM'))
		ELSE format('SELECT settle_republish(ARRAY(SELECT event_id FROM settle.outbox WHERE period = %L))', month) END;
	refused CONSTANT text := settle.refused_objection(month);
	slot record;
BEGIN
	-- A slot without a row was made in this moment.
	SELECT s.slot_name, coalesce(p.events, 0) AS sent, coalesce(month = ANY (r.lacks), true) AS lacking INTO slot
	FROM pg_replication_slots AS s
		LEFT JOIN settle.relay_progress AS p ON p.slot = s.slot_name AND p.period = month
		LEFT JOIN settle.relay_start AS r ON r.slot = s.slot_name
	WHERE s.plugin = 'settle' AND s.database = current_database()
	ORDER BY coalesce(p.events, 0) < prune_objection.events DESC, 3 DESC, 2, 1 LIMIT 1;
	RETURN CASE
		WHEN slot.slot_name IS NULL THEN 'no relay: nobody has brought its events to Kafka'
		WHEN refused IS NOT NULL THEN refused
		WHEN slot.sent < prune_objection.events THEN format('slot %s has brought %s of %s events to Kafka; %s sends them all',
			slot.slot_name, slot.sent, prune_objection.events, remedy)
		WHEN slot.lacking THEN format('slot %s came after some of its events; %s sends them all', slot.slot_name, remedy)
	END;
END $$;
COMMENT ON FUNCTION settle.prune_objection(date, bigint) IS 'why the events of a month must stay although its relays have nothing left to confirm: a slot came too late for some of them (settle.relay_start) or has counted fewer than there are, or Kafka refused some. NULL when they may go';

CREATE FUNCTION settle.empty_outbox(month date, events bigint) RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	leaf CONSTANT text := settle.leaf_name('outbox', month, NULL);
	present bigint;
BEGIN
	EXECUTE format('LOCK TABLE settle.%I IN ACCESS EXCLUSIVE MODE', leaf);
	EXECUTE format('SELECT count(*) FROM settle.%I', leaf) INTO present;
	IF present = empty_outbox.events THEN
		EXECUTE format('TRUNCATE settle.%I', leaf);
	END IF;
	RETURN present;
END $$;
COMMENT ON FUNCTION settle.empty_outbox(date, bigint) IS 'empties the outbox of a month when it still has so many events; returns how many it has';

CREATE FUNCTION settle.prune_month(month date, events bigint, objection text, refused text, force boolean) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	why text := CASE WHEN NOT force THEN coalesce(objection, settle.prune_objection(month, events), refused) END;
	run settle.run;
BEGIN
	SELECT * INTO run FROM settle.run AS r WHERE r.period = month AND r.state IN ('running', 'stopped', 'failed') LIMIT 1;
	IF run.run_id IS NOT NULL THEN
		why := format('run %s of it has not ended', run.run_id);
	END IF;
	IF why IS NULL AND settle.execute_briefly(format('SELECT settle.empty_outbox(%L, %s)', month, events),
			'the outbox of ' || to_char(month, 'YYYY-MM'))::bigint <> events THEN
		why := 'events were written in the meantime';
	END IF;
	IF why IS NULL THEN
		INSERT INTO settle.month_action (period, action, rows, reason)
		VALUES (month, 'prune', jsonb_build_object('outbox', events), CASE WHEN force THEN 'forced' END);
	END IF;
	RETURN why;
END $$;
COMMENT ON FUNCTION settle.prune_month(date, bigint, text, text, boolean) IS 'removes the events of a month from the outbox and records it; NULL, or why not';

CREATE FUNCTION settle_outbox_prune(keep integer DEFAULT 3, force boolean DEFAULT false, command_id uuid DEFAULT NULL)
RETURNS TABLE (period text, events bigint, pruned boolean, reason text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_outbox_prune', jsonb_build_object('keep', keep, 'force', force));
	first_kept date;
	bound pg_lsn;
	objection text;
	old jsonb;
	answer jsonb := '[]';
	month record;
	why text;
BEGIN
	IF earlier IS NULL THEN
		IF keep IS NULL OR keep < 0 OR keep > 1200 THEN
			RAISE EXCEPTION 'keep must be 0 to 1200 months, not %', coalesce(keep::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
		ELSIF force IS NULL THEN
			RAISE EXCEPTION 'force must be true or false' USING ERRCODE = 'null_value_not_allowed';
		ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
			-- Under an older snapshot events that were just written would not be seen.
			RAISE EXCEPTION 'settle_outbox_prune() needs isolation level READ COMMITTED' USING ERRCODE = 'invalid_transaction_state';
		END IF;
		first_kept := date_trunc('month', now() AT TIME ZONE settle.effective_time_zone()) - make_interval(months => keep);
		-- Whoever sends a month again waits now until this is over: what is not yet confirmed must not count as sent.
		IF NOT force THEN
			PERFORM settle.note_relays();
		END IF;
		SELECT coalesce(jsonb_agg(jsonb_build_object('month', o.period, 'events', o.events, 'refused', settle.refused_objection(o.period)) ORDER BY o.period), '[]') INTO old
		FROM (SELECT period, count(*) AS events FROM settle.outbox WHERE period < first_kept GROUP BY period) AS o;
		IF old <> '[]' AND NOT force THEN
			bound := pg_logical_emit_message(false, 'settle', '');
			PERFORM settle.flush_wal(bound); -- senders see what is on disk; the WAL writer may sleep
			objection := settle.wait_for_relays(bound, '30 s');
		END IF;
		FOR month IN SELECT o.* FROM jsonb_to_recordset(old) AS o (month date, events bigint, refused text) ORDER BY 1 LOOP
			why := settle.prune_month(month.month, month.events, objection, month.refused, force);
			answer := answer || jsonb_build_object('period', to_char(month.month, 'YYYY-MM'), 'events', month.events,
				'pruned', why IS NULL, 'reason', why);
		END LOOP;
		PERFORM settle.command_finish(command_id, answer);
	END IF;
	RETURN QUERY SELECT a.period, a.events, a.pruned, a.reason
		FROM jsonb_to_recordset(coalesce(earlier, answer)) AS a (period text, events bigint, pruned boolean, reason text);
END $$;
COMMENT ON FUNCTION settle_outbox_prune(integer, boolean, uuid) IS
'removes events from settle.outbox that Kafka holds, of months that ended more than `keep` months ago; a row for each such month that has events, with what was done or why not. The months stay open: their partitions of the outbox are emptied.
A month is pruned when its runs have ended, every relay of this database has confirmed all that was committed before the call (it waits up to 30 s for that), its slot was there before the first event of the month, or when the whole month was last sent again (settle.relay_start; sending a part of it does not suffice), has counted at least as many events of it as there are, and none is left refused. force => true asks only whether runs have ended, also where there is no relay.
What is pruned cannot be sent again; settle_verify() then says so and checks what is left. Recorded in settle.month_action. For settle_admin.
Errors: 22023 keep, 55P03 in use for a minute (or lock_timeout), 25000 isolation level, ST012 command id used otherwise';
