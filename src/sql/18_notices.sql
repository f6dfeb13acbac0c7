-- ------------------------------------------------------------------------------------------------------------------
-- 18 Notices: who is told what, and what became of it
--
-- A row is one message about one bill on one channel, and the only truth about it: it exists before a byte goes out, and what
-- may have gone out is never sent again by itself (research/notify.md §3). settle-notifier writes these tables; a trigger
-- lets nobody, not even it, take a step that settle.notice_steps() does not have.
-- ------------------------------------------------------------------------------------------------------------------

CREATE TYPE settle.notice_state AS ENUM ('held', 'pending', 'deferred', 'sending', 'sent', 'delivered', 'bounced', 'complained',
	'unknown', 'failed', 'dead', 'expired', 'suppressed', 'cancelled');
COMMENT ON TYPE settle.notice_state IS 'held: its run is not released; pending: may go now; deferred: waits for next_at; sending: claimed, may be on the wire; sent: accepted by the provider; delivered, bounced, complained: what the provider reported later; unknown: nobody can say whether it was accepted, never sent again by itself; failed: refused for good; dead: attempts are used up; expired: too late; suppressed: the address is not to be used, or there is none; cancelled: by an operator, or a newer bill replaces it';

CREATE SEQUENCE settle.notice_id;

CREATE TABLE settle.notice (
	notice_id bigint NOT NULL DEFAULT nextval('settle.notice_id'),
	account_id bigint NOT NULL,
	run_id bigint NOT NULL,
	fence bigint NOT NULL DEFAULT 0,
	next_at timestamptz,
	expires_at timestamptz,
	lease_until timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	period settle.period NOT NULL,
	state settle.notice_state NOT NULL,
	source_partition integer,
	source_offset bigint,
	template_version integer,
	attempt smallint NOT NULL DEFAULT 0,
	revision smallint NOT NULL,
	generation smallint NOT NULL DEFAULT 0,
	last_code smallint,
	kind settle.bill_kind NOT NULL,
	channel text NOT NULL CONSTRAINT notice_channel_known CHECK (channel IN ('email', 'sms', 'push')),
	provider text,
	provider_ref text,
	worker text,
	last_error text,
	body_digest bytea,
	payload text NOT NULL
) PARTITION BY LIST (period);
ALTER SEQUENCE settle.notice_id OWNED BY settle.notice.notice_id;
COMMENT ON TABLE settle.notice IS 'one message about one bill on one channel; key (account_id, revision, kind, channel, generation) on each month';
COMMENT ON COLUMN settle.notice.notice_id IS 'identifier';
COMMENT ON COLUMN settle.notice.account_id IS 'who is told';
COMMENT ON COLUMN settle.notice.run_id IS 'the run that wrote the bill';
COMMENT ON COLUMN settle.notice.fence IS 'how often it was claimed; an outcome counts only with the fence of its claim';
COMMENT ON COLUMN settle.notice.next_at IS 'deferred: when it may go';
COMMENT ON COLUMN settle.notice.expires_at IS 'when it is too late; NULL = never';
COMMENT ON COLUMN settle.notice.lease_until IS 'sending: when its worker is taken for dead';
COMMENT ON COLUMN settle.notice.created_at IS 'when the event was taken in';
COMMENT ON COLUMN settle.notice.updated_at IS 'last change of its state';
COMMENT ON COLUMN settle.notice.period IS 'month of the bill';
COMMENT ON COLUMN settle.notice.state IS 'what became of it so far';
COMMENT ON COLUMN settle.notice.source_partition IS 'partition of the topic the event came from';
COMMENT ON COLUMN settle.notice.source_offset IS 'offset there';
COMMENT ON COLUMN settle.notice.template_version IS 'version of the template it was rendered with';
COMMENT ON COLUMN settle.notice.attempt IS 'attempts that count: those that reached the provider';
COMMENT ON COLUMN settle.notice.revision IS 'revision of the bill';
COMMENT ON COLUMN settle.notice.generation IS '0; raised only by settle_notice_resend()';
COMMENT ON COLUMN settle.notice.last_code IS 'SMTP reply or HTTP status of the last attempt';
COMMENT ON COLUMN settle.notice.kind IS 'bill, rebill or void';
COMMENT ON COLUMN settle.notice.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.notice.provider IS 'where it was sent';
COMMENT ON COLUMN settle.notice.provider_ref IS 'the provider''s id of it';
COMMENT ON COLUMN settle.notice.worker IS 'the process that claimed it: host, boot and start';
COMMENT ON COLUMN settle.notice.last_error IS 'why it is not sent, without addresses';
COMMENT ON COLUMN settle.notice.body_digest IS 'SHA-256 of what was rendered';
COMMENT ON COLUMN settle.notice.payload IS 'data of the event, so that it can be sent after the topic''s retention';

CREATE TABLE settle.notice_attempt (
	notice_id bigint NOT NULL,
	fence bigint NOT NULL,
	started_at timestamptz NOT NULL,
	finished_at timestamptz NOT NULL,
	period settle.period NOT NULL,
	attempt smallint NOT NULL,
	code smallint,
	bytes integer,
	outcome text NOT NULL CONSTRAINT notice_attempt_outcome_known
		CHECK (outcome IN ('accepted', 'temporary', 'permanent', 'ambiguous', 'not tried', 'throttled')),
	provider text NOT NULL,
	message text
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.notice_attempt IS 'every attempt to send a notice; only added to';
COMMENT ON COLUMN settle.notice_attempt.notice_id IS 'the notice';
COMMENT ON COLUMN settle.notice_attempt.fence IS 'the claim it belonged to';
COMMENT ON COLUMN settle.notice_attempt.started_at IS 'when it was begun';
COMMENT ON COLUMN settle.notice_attempt.finished_at IS 'when its outcome was known';
COMMENT ON COLUMN settle.notice_attempt.period IS 'month of the bill';
COMMENT ON COLUMN settle.notice_attempt.attempt IS 'number of the attempt, from 1; those that were not tried or throttled do not count';
COMMENT ON COLUMN settle.notice_attempt.code IS 'SMTP reply or HTTP status';
COMMENT ON COLUMN settle.notice_attempt.bytes IS 'size of the message';
COMMENT ON COLUMN settle.notice_attempt.outcome IS 'accepted, temporary, permanent, ambiguous, not tried or throttled';
COMMENT ON COLUMN settle.notice_attempt.provider IS 'where it went';
COMMENT ON COLUMN settle.notice_attempt.message IS 'what the provider said, without addresses';

CREATE TABLE settle.suppression (
	channel text NOT NULL CONSTRAINT suppression_channel_known CHECK (channel IN ('email', 'sms')),
	address_hash bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by name NOT NULL DEFAULT session_user,
	reason text NOT NULL,
	CONSTRAINT suppression_key PRIMARY KEY (channel, address_hash)
);
COMMENT ON TABLE settle.suppression IS 'addresses that nothing is sent to: they bounced, complained or asked for it';
COMMENT ON COLUMN settle.suppression.channel IS 'email or sms';
COMMENT ON COLUMN settle.suppression.address_hash IS 'keyed hash, as in contact';
COMMENT ON COLUMN settle.suppression.created_at IS 'when';
COMMENT ON COLUMN settle.suppression.created_by IS 'role that added it';
COMMENT ON COLUMN settle.suppression.reason IS 'why';

CREATE TABLE settle.dead_letter (
	dead_letter_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT dead_letter_key PRIMARY KEY,
	topic text NOT NULL,
	source_partition integer NOT NULL,
	source_offset bigint NOT NULL,
	event_key text,
	payload text,
	reason text NOT NULL,
	state text NOT NULL DEFAULT 'open' CONSTRAINT dead_letter_state_known CHECK (state IN ('open', 'retry', 'done', 'permanent')),
	attempts smallint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT dead_letter_once UNIQUE (topic, source_partition, source_offset)
);
COMMENT ON TABLE settle.dead_letter IS 'events that could not be made into a notice';
COMMENT ON COLUMN settle.dead_letter.dead_letter_id IS 'identifier';
COMMENT ON COLUMN settle.dead_letter.topic IS 'where it came from';
COMMENT ON COLUMN settle.dead_letter.source_partition IS 'partition there';
COMMENT ON COLUMN settle.dead_letter.source_offset IS 'offset there';
COMMENT ON COLUMN settle.dead_letter.event_key IS 'key of the event';
COMMENT ON COLUMN settle.dead_letter.payload IS 'value of the event; NULL when it is no UTF-8 text';
COMMENT ON COLUMN settle.dead_letter.reason IS 'what is wrong with it';
COMMENT ON COLUMN settle.dead_letter.state IS 'open; retry = the notifier shall try it again; done = it was taken in then; permanent = five attempts failed';
COMMENT ON COLUMN settle.dead_letter.attempts IS 'how often it was tried';
COMMENT ON COLUMN settle.dead_letter.created_at IS 'when it came';
COMMENT ON COLUMN settle.dead_letter.updated_at IS 'when it was last tried';

CREATE TABLE settle.notice_pause (
	scope text CONSTRAINT notice_pause_key PRIMARY KEY
		CONSTRAINT notice_pause_scope_known CHECK (scope IN ('all', 'email', 'sms', 'push')),
	paused_at timestamptz NOT NULL DEFAULT now(),
	paused_by name NOT NULL DEFAULT session_user,
	reason text NOT NULL
);
COMMENT ON TABLE settle.notice_pause IS 'what is paused: events are taken in, and nothing is sent';
COMMENT ON COLUMN settle.notice_pause.scope IS 'all, or a channel';
COMMENT ON COLUMN settle.notice_pause.paused_at IS 'when';
COMMENT ON COLUMN settle.notice_pause.paused_by IS 'role that paused it';
COMMENT ON COLUMN settle.notice_pause.reason IS 'why';

CREATE TABLE settle.notice_action (
	action_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT notice_action_key PRIMARY KEY,
	action text NOT NULL,
	period settle.period,
	notices bigint NOT NULL,
	filter jsonb,
	acted_by name NOT NULL DEFAULT session_user,
	acted_at timestamptz NOT NULL DEFAULT now(),
	reason text NOT NULL
);
COMMENT ON TABLE settle.notice_action IS 'what operators did to notices';
COMMENT ON COLUMN settle.notice_action.action_id IS 'identifier';
COMMENT ON COLUMN settle.notice_action.action IS 'retry, resolve, resend, cancel, pause, resume, suppress, unsuppress or dead letter retry';
COMMENT ON COLUMN settle.notice_action.period IS 'the month; NULL = none in particular';
COMMENT ON COLUMN settle.notice_action.notices IS 'how many it concerned';
COMMENT ON COLUMN settle.notice_action.filter IS 'which';
COMMENT ON COLUMN settle.notice_action.acted_by IS 'role that did it';
COMMENT ON COLUMN settle.notice_action.acted_at IS 'when';
COMMENT ON COLUMN settle.notice_action.reason IS 'why';

-- What waits is looked for every second among many that do not; operators and attempts ask by the id.
CREATE FUNCTION settle.index_notices(leaf text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	EXECUTE format('CREATE INDEX %I ON settle.%I (notice_id)', leaf || '_id', leaf);
	IF leaf ~ '^notice_[0-9]' THEN
		EXECUTE format('CREATE INDEX %I ON settle.%I (state, next_at) WHERE state IN (''held'', ''pending'', ''deferred'', ''sending'', ''unknown'')',
			leaf || '_open', leaf);
	END IF;
END $$;
COMMENT ON FUNCTION settle.index_notices(text) IS 'creates the indexes of a month''s notices, or of their attempts';

-- ---- states -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.notice_steps(OUT state_before settle.notice_state, OUT state_after settle.notice_state, OUT taken_by text) RETURNS SETOF record
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_notice_steps';
COMMENT ON FUNCTION settle.notice_steps() IS 'how the state of a notice may change; taken_by: notifier, or operator = through the functions for operators only';

CREATE FUNCTION settle.notice_guard() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'settle_notice_guard';
COMMENT ON FUNCTION settle.notice_guard() IS 'lets a notice change its state only as settle.notice_steps() says and by who may (settle.notice_writer), and never what it is; sets updated_at. Error ST013';

CREATE TRIGGER notice_guard BEFORE UPDATE ON settle.notice FOR EACH ROW EXECUTE FUNCTION settle.notice_guard();

-- ---- when ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.due_at(period date, time_zone text, send_day integer, send_time time, quiet_start time, quiet_end time,
	spread integer, at timestamptz) RETURNS timestamptz
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_due_at';
COMMENT ON FUNCTION settle.due_at(date, text, integer, time, time, time, integer, timestamptz) IS
'when a notice about a month may go, not before `at`: on send_day of the next month at send_time, or at once when that is past; and outside quiet hours [quiet_start, quiet_end), which may lie across midnight, plus spread seconds when it had to wait for their end. Wall clocks are those of time_zone (NULL or unknown: TimeZone); one that is skipped in spring means the end of the gap, one that comes twice in autumn the first that is not past';

-- ---- operators ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.notice_act(action text, period date, notices bigint, filter jsonb, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	INSERT INTO settle.notice_action (action, period, notices, filter, reason)
	VALUES (notice_act.action, notice_act.period, notice_act.notices, jsonb_strip_nulls(notice_act.filter), notice_act.reason);
	PERFORM pg_notify('settle_notice', action);
END $$;
COMMENT ON FUNCTION settle.notice_act(text, date, bigint, jsonb, text) IS 'records what an operator did, and wakes the notifier';

CREATE FUNCTION settle.known_channel(channel text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF channel NOT IN ('email', 'sms', 'push') THEN
		RAISE EXCEPTION 'unknown channel: "%"', channel USING ERRCODE = 'invalid_parameter_value', HINT = 'email, sms or push.';
	END IF;
	RETURN channel;
END $$;
COMMENT ON FUNCTION settle.known_channel(text) IS 'the channel, when there is such a one; NULL for NULL. Error 22023';

-- One statement for all changes of state by operators: rows are locked in the order of their ids, those that have gone on
-- meanwhile are left out.
CREATE FUNCTION settle.change_notices(month date, wanted settle.notice_state, from_states settle.notice_state[], channel text,
	notice_ids bigint[], error_like text) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	changed bigint;
BEGIN
	PERFORM set_config('settle.notice_writer', 'operator', true);
	WITH chosen AS (
		SELECT n.notice_id FROM settle.notice AS n
		WHERE n.period = month AND n.state = ANY (from_states) AND (change_notices.channel IS NULL OR n.channel = change_notices.channel)
			AND (change_notices.notice_ids IS NULL OR n.notice_id = ANY (change_notices.notice_ids))
			AND (change_notices.error_like IS NULL OR n.last_error LIKE change_notices.error_like)
		ORDER BY n.notice_id FOR NO KEY UPDATE
	)
	UPDATE settle.notice AS n SET state = wanted, worker = NULL, lease_until = NULL,
		attempt = CASE WHEN wanted = 'pending' THEN 0 ELSE n.attempt END, next_at = CASE WHEN wanted = 'deferred' THEN now() END,
		-- an operator who wants it sent does not mean: unless it is too late
		expires_at = CASE WHEN wanted = 'pending' AND n.expires_at < now() + interval '1 day' THEN NULL ELSE n.expires_at END
	FROM chosen WHERE n.period = month AND n.notice_id = chosen.notice_id;
	GET DIAGNOSTICS changed = ROW_COUNT;
	PERFORM set_config('settle.notice_writer', 'none', true);
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle.change_notices(date, settle.notice_state, settle.notice_state[], text, bigint[], text) IS 'changes the state of chosen notices as an operator may; returns how many';

CREATE FUNCTION settle_notice_retry(period text, reason text, states text[] DEFAULT '{failed,dead,expired}', channel text DEFAULT NULL,
	notice_ids bigint[] DEFAULT NULL, error_like text DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	filter CONSTANT jsonb := jsonb_build_object('states', states, 'channel', settle.known_channel(channel), 'notice_ids', notice_ids, 'error_like', error_like);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_retry', filter || jsonb_build_object('period', period, 'reason', reason));
	changed bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'a retry', 'settle.notice_action');
	IF states IS NULL OR NOT states <@ '{failed,dead,expired,suppressed,cancelled}' THEN
		RAISE EXCEPTION 'only notices that are failed, dead, expired, suppressed or cancelled can be tried again' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'settle_notice_resolve() is for those that are unknown, settle_notice_resend() for those that were sent.';
	END IF;
	changed := settle.change_notices(month, 'pending', states::settle.notice_state[], channel, notice_ids, error_like);
	PERFORM settle.notice_act('retry', month, changed, filter, reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_notice_retry(text, text, text[], text, bigint[], text, uuid) IS 'sends notices of a month again that were certainly not accepted: in these states, of a channel, with these ids, with an error like this one. Their key stays, so that a provider recognises a repeat. Returns how many. Errors: 22023, ST012 command id used otherwise';

CREATE FUNCTION settle_notice_resolve(period text, notice_ids bigint[], outcome text, reason text, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	filter CONSTANT jsonb := jsonb_build_object('notice_ids', notice_ids, 'outcome', outcome);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_resolve', filter || jsonb_build_object('period', period, 'reason', reason));
	changed bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'resolving a notice', 'settle.notice_action');
	IF notice_ids IS NULL OR outcome IS NULL OR outcome NOT IN ('sent', 'not sent') THEN
		RAISE EXCEPTION 'an outcome is sent or not sent, and ids are needed' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'sent: the provider has it; not sent: it goes out again.';
	END IF;
	changed := settle.change_notices(month, (CASE outcome WHEN 'not sent' THEN 'deferred' ELSE outcome END)::settle.notice_state, '{unknown}',
		NULL, notice_ids, NULL);
	PERFORM settle.notice_act('resolve', month, changed, filter, reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_notice_resolve(text, bigint[], text, text, uuid) IS 'says what became of notices that are unknown: sent, or not sent (they go out again). Returns how many were unknown. Look into the mail server''s log for their Message-ID first. Errors: 22023, ST012 command id used otherwise';

CREATE FUNCTION settle_notice_resend(period text, notice_id bigint, reason text, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
DECLARE
	month CONSTANT date := settle.parse_period(period);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_resend',
		jsonb_build_object('period', settle_notice_resend.period, 'notice_id', settle_notice_resend.notice_id, 'reason', reason));
	old settle.notice;
	made bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'sending once more', 'settle.notice_action');
	SELECT * INTO old FROM settle.notice AS n WHERE n.period = month AND n.notice_id = settle_notice_resend.notice_id FOR NO KEY UPDATE;
	IF old.notice_id IS NULL THEN
		RAISE EXCEPTION 'notice % of % does not exist', coalesce(settle_notice_resend.notice_id::text, 'NULL'), settle_notice_resend.period
			USING ERRCODE = 'ST014';
	ELSIF old.state NOT IN ('sent', 'delivered', 'bounced', 'complained', 'unknown') THEN
		RAISE EXCEPTION 'notice % is %, so there is nothing to send once more', old.notice_id, old.state USING ERRCODE = 'ST013',
			HINT = CASE WHEN old.state = 'sending' THEN 'Its worker has it; wait for the outcome.' ELSE 'settle_notice_retry() sends what was not accepted.' END;
	END IF;
	INSERT INTO settle.notice (account_id, run_id, period, state, source_partition, source_offset, revision, generation, kind, channel, payload)
	SELECT old.account_id, old.run_id, old.period, 'pending', old.source_partition, old.source_offset, old.revision,
		max(n.generation) + 1, old.kind, old.channel, old.payload
	FROM settle.notice AS n
	WHERE n.period = month AND n.account_id = old.account_id AND n.revision = old.revision AND n.kind = old.kind AND n.channel = old.channel
	RETURNING notice.notice_id INTO made;
	PERFORM settle.notice_act('resend', month, 1, jsonb_build_object('notice_ids', ARRAY[old.notice_id]), reason);
	PERFORM settle.command_finish(command_id, to_jsonb(made));
	RETURN made;
END $$;
COMMENT ON FUNCTION settle_notice_resend(text, bigint, text, uuid) IS 'sends a notice once more although it was sent, or may have been: as a new notice of the next generation, with a key of its own, so that the customer gets it twice. Returns its id. Errors: 22023, ST013 it was not sent, ST014 no such notice, ST012 command id used otherwise';

CREATE FUNCTION settle_notice_cancel(period text, reason text, channel text DEFAULT NULL, notice_ids bigint[] DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
	filter CONSTANT jsonb := jsonb_build_object('channel', settle.known_channel(channel), 'notice_ids', notice_ids);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_cancel', filter || jsonb_build_object('period', period, 'reason', reason));
	changed bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'cancelling notices', 'settle.notice_action');
	changed := settle.change_notices(month, 'cancelled', '{held,pending,deferred}', channel, notice_ids, NULL);
	PERFORM settle.notice_act('cancel', month, changed, filter, reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_notice_cancel(text, text, text, bigint[], uuid) IS 'takes notices of a month back that are not on their way: all of them, of a channel, or with these ids. What is unknown is not: settle_notice_resolve() is for that. Returns how many; settle_notice_retry(states => ''{cancelled}'') sends them after all. Errors: 22023, ST012 command id used otherwise';

CREATE FUNCTION settle.check_scope(scope text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	IF scope IS NULL OR scope NOT IN ('all', 'email', 'sms', 'push') THEN
		RAISE EXCEPTION 'nothing called "%" can be paused', coalesce(scope, 'NULL') USING ERRCODE = 'invalid_parameter_value', HINT = 'all, email, sms or push.';
	END IF;
END $$;
COMMENT ON FUNCTION settle.check_scope(text) IS 'error 22023 when a scope is not all or a channel';

CREATE FUNCTION settle_notice_pause(scope text, reason text, command_id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_pause', jsonb_build_object('scope', scope, 'reason', reason));
	changed boolean;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::boolean;
	END IF;
	PERFORM settle.require_reason(reason, 'a pause', 'settle.notice_action'), settle.check_scope(scope);
	INSERT INTO settle.notice_pause (scope, reason) VALUES (settle_notice_pause.scope, settle_notice_pause.reason) ON CONFLICT DO NOTHING;
	changed := FOUND;
	PERFORM settle.notice_act('pause', NULL, 0, jsonb_build_object('scope', scope), reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_notice_pause(text, text, uuid) IS 'nothing is sent until settle_notice_resume(): all, or a channel. Events are still taken in, and what is on the wire is finished. False when it was paused already. Errors: 22023, ST012 command id used otherwise';

CREATE FUNCTION settle_notice_resume(scope text, reason text, command_id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_notice_resume', jsonb_build_object('scope', scope, 'reason', reason));
	changed boolean;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::boolean;
	END IF;
	PERFORM settle.require_reason(reason, 'going on', 'settle.notice_action'), settle.check_scope(scope);
	DELETE FROM settle.notice_pause AS p WHERE p.scope = settle_notice_resume.scope;
	changed := FOUND;
	PERFORM settle.notice_act('resume', NULL, 0, jsonb_build_object('scope', scope), reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_notice_resume(text, text, uuid) IS 'ends a pause; false when there was none of that scope. Errors: 22023, ST012 command id used otherwise';

CREATE FUNCTION settle_suppress(channel text, address text, reason text, remove boolean DEFAULT false, command_id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	field CONSTANT text := CASE channel WHEN 'email' THEN 'email' WHEN 'sms' THEN 'phone' END;
	hash CONSTANT bytea := settle.seal_hash(field, settle.normal_form(field, address));
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_suppress',
		jsonb_build_object('channel', channel, 'address_hash', encode(hash, 'hex'), 'reason', reason, 'remove', remove));
	changed boolean;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::boolean;
	END IF;
	PERFORM settle.require_reason(reason, 'a suppression', 'settle.notice_action');
	IF field IS NULL OR address IS NULL OR remove IS NULL THEN
		RAISE EXCEPTION 'a suppression is of an address of channel email or sms' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM settle.check_contact(field, address);
	IF remove THEN
		DELETE FROM settle.suppression AS s WHERE s.channel = settle_suppress.channel AND s.address_hash = hash;
	ELSE
		INSERT INTO settle.suppression (channel, address_hash, reason) VALUES (settle_suppress.channel, hash, settle_suppress.reason) ON CONFLICT DO NOTHING;
	END IF;
	changed := FOUND;
	PERFORM settle.notice_act(CASE WHEN remove THEN 'unsuppress' ELSE 'suppress' END, NULL, 0, jsonb_build_object('channel', channel), reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_suppress(text, text, text, boolean, uuid) IS 'nothing is sent to this address any more; remove => true allows it again. False when nothing changed. Errors: 22023, 55000 no keyring, ST012 command id used otherwise';

CREATE FUNCTION settle_dead_letter_retry(reason text, ids bigint[] DEFAULT NULL, reason_like text DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	filter CONSTANT jsonb := jsonb_build_object('ids', ids, 'reason_like', reason_like);
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_dead_letter_retry', filter || jsonb_build_object('reason', reason));
	changed bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	END IF;
	PERFORM settle.require_reason(reason, 'trying dead letters again', 'settle.notice_action');
	UPDATE settle.dead_letter AS d SET state = 'retry'
	WHERE d.state = 'open' AND (ids IS NULL OR d.dead_letter_id = ANY (ids)) AND (reason_like IS NULL OR d.reason LIKE reason_like);
	GET DIAGNOSTICS changed = ROW_COUNT;
	PERFORM settle.notice_act('dead letter retry', NULL, changed, filter, reason);
	PERFORM settle.command_finish(command_id, to_jsonb(changed));
	RETURN changed;
END $$;
COMMENT ON FUNCTION settle_dead_letter_retry(text, bigint[], text, uuid) IS 'lets the notifier try events again that could not be made into notices: all that are open, these, or those with a reason like this. After five attempts they are permanent. Returns how many. Errors: 22023, ST012 command id used otherwise';
