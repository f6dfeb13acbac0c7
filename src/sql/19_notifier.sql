-- ------------------------------------------------------------------------------------------------------------------
-- 19 What settle-notifier calls
--
-- Each function is one step of the daemon, for a batch, in one transaction: taking events in, claiming what is due, recording
-- what became of it, looking after what was left behind. The rules are here and not in the daemon, so that its role needs no
-- right on tables but to read contacts and templates.
-- ------------------------------------------------------------------------------------------------------------------

-- The channel a contact prefers, if there is an address for it; else the first there is.
CREATE FUNCTION settle.choose_channel(contact settle.contact) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN contact.preferred_channel = 'email' AND contact.email_sealed IS NOT NULL THEN 'email'
	WHEN contact.preferred_channel = 'sms' AND contact.phone_sealed IS NOT NULL THEN 'sms'
	WHEN contact.preferred_channel = 'push' AND contact.push_token_sealed IS NOT NULL THEN 'push'
	WHEN contact.email_sealed IS NOT NULL THEN 'email'
	WHEN contact.phone_sealed IS NOT NULL THEN 'sms'
	WHEN contact.push_token_sealed IS NOT NULL THEN 'push'
END;
COMMENT ON FUNCTION settle.choose_channel(settle.contact) IS 'the channel on which an account is told: the preferred one, else e-mail, SMS, push; NULL when it has no address at all';

CREATE FUNCTION settle.is_suppressed(channel text, contact settle.contact) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM settle.suppression AS s
	WHERE s.channel = is_suppressed.channel AND s.address_hash = CASE is_suppressed.channel WHEN 'email' THEN (contact).email_hash WHEN 'sms' THEN (contact).phone_hash END);
COMMENT ON FUNCTION settle.is_suppressed(text, settle.contact) IS 'whether nothing may be sent to the contact''s address of that channel';

-- When a whole zone's quiet hours end at one moment, accounts follow one another, each always in the same place.
CREATE FUNCTION settle.contact_due(contact settle.contact, account_id bigint, period date, spread_limit integer, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN settle.due_at(period, coalesce((contact).time_zone, settle.effective_time_zone()), (contact).send_day, (contact).send_time,
	(contact).quiet_start, (contact).quiet_end, mod(hashint8(account_id)::bigint + 2147483648, spread_limit + 1)::integer, at);
COMMENT ON FUNCTION settle.contact_due(settle.contact, bigint, date, integer, timestamptz) IS 'settle.due_at() of a contact, spread over so many seconds by its account';

CREATE FUNCTION settle.notice_ingest(topic text, source_partition integer, offsets bigint[], accounts bigint[], periods date[], revisions integer[],
	kinds text[], runs bigint[], payloads text[], spread_limit integer, validity interval,
	OUT stored bigint, OUT duplicates bigint, OUT dead bigint, OUT cancelled bigint) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
DECLARE
	missing CONSTANT date[] := ARRAY(SELECT DISTINCT p FROM unnest(periods) AS p WHERE NOT settle.is_attached('notice', p));
BEGIN
	PERFORM set_config('settle.notice_writer', 'notifier', true);
	INSERT INTO settle.dead_letter (topic, source_partition, source_offset, event_key, payload, reason)
	SELECT notice_ingest.topic, notice_ingest.source_partition, e.source_offset, e.account_id::text, e.payload,
		format('month %s is not open: it was dropped, or is of another database', to_char(e.period, 'YYYY-MM'))
	FROM unnest(offsets, accounts, periods, payloads) AS e (source_offset, account_id, period, payload)
	WHERE e.period = ANY (missing)
	ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS dead = ROW_COUNT;

	INSERT INTO settle.notice (account_id, run_id, period, state, next_at, expires_at, source_partition, source_offset, revision, kind, channel, last_error, payload)
	SELECT e.account_id, e.run_id, e.period,
		CASE WHEN w.why IS NOT NULL THEN w.fate ELSE CASE WHEN NOT w.released THEN 'held' WHEN w.due > now() THEN 'deferred' ELSE 'pending' END END::settle.notice_state,
		CASE WHEN w.why IS NULL AND w.due > now() THEN w.due END, now() + validity, notice_ingest.source_partition, e.source_offset,
		e.revision, e.kind::settle.bill_kind, coalesce(w.channel, 'email'), w.why, e.payload
	FROM unnest(offsets, accounts, periods, revisions, kinds, runs, payloads) WITH ORDINALITY
			AS e (source_offset, account_id, period, revision, kind, run_id, payload, place)
		LEFT JOIN settle.contact AS c ON c.account_id = e.account_id
		CROSS JOIN LATERAL (
			SELECT settle.choose_channel(c) AS channel,
				EXISTS (SELECT FROM settle.run AS r WHERE r.run_id = e.run_id AND r.released_at IS NOT NULL) AS released,
				settle.contact_due(c, e.account_id, e.period, spread_limit, now()) AS due) AS d
		CROSS JOIN LATERAL (
			SELECT d.channel, d.released, d.due,
				CASE WHEN n.newer THEN 'cancelled' WHEN e.kind = 'void' AND NOT n.told THEN 'cancelled' ELSE 'suppressed' END AS fate,
				CASE WHEN n.newer THEN 'a newer bill is there'
					WHEN e.kind = 'void' AND NOT n.told THEN 'the bill that is taken back was never told of'
					WHEN d.channel IS NULL THEN 'no address'
					WHEN settle.is_suppressed(d.channel, c) THEN 'the address is suppressed' END AS why
			FROM (SELECT
				EXISTS (SELECT FROM settle.notice AS o WHERE o.period = e.period AND o.account_id = e.account_id AND o.revision > e.revision) AS newer,
				EXISTS (SELECT FROM settle.notice AS o WHERE o.period = e.period AND o.account_id = e.account_id AND o.revision < e.revision
					AND o.state IN ('sending', 'sent', 'delivered', 'bounced', 'complained', 'unknown')) AS told) AS n) AS w
	WHERE e.period <> ALL (missing)
	ORDER BY e.place
	ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS stored = ROW_COUNT;
	duplicates := cardinality(offsets) - stored - (SELECT count(*) FROM unnest(periods) AS p WHERE p = ANY (missing));

	-- A newer bill replaces what has not gone out.
	UPDATE settle.notice AS n SET state = 'cancelled', last_error = 'a newer bill is there'
	FROM (SELECT x.period, x.account_id, max(x.revision) AS revision FROM unnest(periods, accounts, revisions) AS x (period, account_id, revision)
		WHERE x.revision > 0 GROUP BY x.period, x.account_id) AS e
	WHERE n.period = e.period AND n.account_id = e.account_id AND n.revision < e.revision AND n.state IN ('held', 'pending', 'deferred');
	GET DIAGNOSTICS cancelled = ROW_COUNT;
	PERFORM set_config('settle.notice_writer', 'none', true);
END $$;
COMMENT ON FUNCTION settle.notice_ingest(text, integer, bigint[], bigint[], date[], integer[], text[], bigint[], text[], integer, interval) IS
'takes events of bills of one partition in: a notice for each, on the channel of the contact; held while its run is not released, deferred until it is due, suppressed without a usable address, cancelled when a newer bill is there, or when a void takes back what nobody was told. What is there already stays as it is. Unsent notices of older revisions are cancelled. Events of months that are not open become dead letters.
stored, duplicates: notices made and events that had one; dead: dead letters; cancelled: older notices';

CREATE FUNCTION settle.notice_claim(worker text, lease interval, max_rows integer, spread_limit integer)
RETURNS TABLE (period date, notice_id bigint, fence bigint, account_id bigint, revision smallint, generation smallint, attempt smallint, kind text, channel text,
	template_version integer, payload text, locale text, name_sealed bytea, address_sealed bytea)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
DECLARE
	paused CONSTANT text[] := ARRAY(SELECT p.scope FROM settle.notice_pause AS p);
BEGIN
	IF 'all' = ANY (paused) THEN
		RETURN;
	END IF;
	PERFORM set_config('settle.notice_writer', 'notifier', true);
	RETURN QUERY
	WITH due AS MATERIALIZED (
		SELECT n.period, n.notice_id FROM settle.notice AS n
		WHERE (n.state = 'pending' OR n.state = 'deferred' AND n.next_at <= now()) AND n.channel <> ALL (paused)
		LIMIT max_rows FOR NO KEY UPDATE SKIP LOCKED
	), judged AS (
		-- All is asked again: since it was taken in, a newer bill, a suppression or the night may have come.
		SELECT d.period, d.notice_id, c AS contact, CASE
			WHEN n.expires_at < now() THEN 'expired'
			WHEN EXISTS (SELECT FROM settle.notice AS o WHERE o.period = n.period AND o.account_id = n.account_id AND o.revision > n.revision) THEN 'cancelled'
			WHEN settle.is_suppressed(n.channel, c)
				OR CASE n.channel WHEN 'email' THEN c.email_sealed WHEN 'sms' THEN c.phone_sealed ELSE c.push_token_sealed END IS NULL THEN 'suppressed'
			WHEN settle.contact_due(c, n.account_id, n.period, spread_limit, now()) > now() THEN 'deferred'
			ELSE 'sending' END::settle.notice_state AS fate
		FROM due AS d JOIN settle.notice AS n ON n.period = d.period AND n.notice_id = d.notice_id
			LEFT JOIN settle.contact AS c ON c.account_id = n.account_id
	), claimed AS (
		UPDATE settle.notice AS n SET state = j.fate, fence = n.fence + (j.fate = 'sending')::integer,
			worker = CASE WHEN j.fate = 'sending' THEN notice_claim.worker END, lease_until = CASE WHEN j.fate = 'sending' THEN now() + lease END,
			next_at = CASE WHEN j.fate = 'deferred' THEN settle.contact_due(j.contact, n.account_id, n.period, spread_limit, now()) END,
			last_error = CASE j.fate WHEN 'expired' THEN 'it came too late' WHEN 'cancelled' THEN 'a newer bill is there'
				WHEN 'suppressed' THEN 'no address, or a suppressed one' ELSE n.last_error END
		FROM judged AS j WHERE n.period = j.period AND n.notice_id = j.notice_id
		RETURNING n.period, n.notice_id, n.fence, n.account_id, n.revision, n.generation, n.attempt, n.kind, n.channel, n.template_version, n.payload, n.state, j.contact
	)
	SELECT c.period::date, c.notice_id, c.fence, c.account_id, c.revision, c.generation, c.attempt, c.kind::text, c.channel, c.template_version, c.payload,
		(c.contact).locale, (c.contact).name_sealed,
		CASE c.channel WHEN 'email' THEN (c.contact).email_sealed WHEN 'sms' THEN (c.contact).phone_sealed ELSE (c.contact).push_token_sealed END
	FROM claimed AS c WHERE c.state = 'sending';
	PERFORM set_config('settle.notice_writer', 'none', true);
END $$;
COMMENT ON FUNCTION settle.notice_claim(text, interval, integer, integer) IS 'claims up to so many notices that are due for a worker, and returns them with what is needed to send them; others have them not until the lease ends, and then nobody has without a look. What is too late, replaced, suppressed, or in quiet hours now changes its state instead';

CREATE FUNCTION settle.notice_record(worker text, periods date[], ids bigint[], fences bigint[], outcomes text[], codes integer[], messages text[],
	providers text[], provider_refs text[], sizes integer[], started timestamptz[], finished timestamptz[], versions integer[], digests bytea[],
	waits interval[], max_attempts integer, max_fallbacks integer, spread_limit integer,
	OUT recorded bigint, OUT fenced bigint, OUT fallbacks bigint) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM set_config('settle.notice_writer', 'notifier', true);
	WITH result AS MATERIALIZED (
		SELECT * FROM unnest(periods, ids, fences, outcomes, codes, messages, providers, provider_refs, sizes, started, finished, versions, digests, waits)
			AS r (period, notice_id, fence, outcome, code, message, provider, provider_ref, size, started_at, finished_at, version, digest, wait)
	), changed AS (
		-- unknown: the lease ended before the outcome came, and nobody has claimed it since
		UPDATE settle.notice AS n SET
			state = CASE r.outcome WHEN 'accepted' THEN 'sent' WHEN 'permanent' THEN 'failed' WHEN 'ambiguous' THEN 'unknown' WHEN 'not tried' THEN 'pending'
				WHEN 'throttled' THEN 'deferred' ELSE CASE WHEN n.attempt + 1 >= max_attempts THEN 'dead' ELSE 'deferred' END END::settle.notice_state,
			attempt = n.attempt + (r.outcome IN ('accepted', 'temporary', 'permanent', 'ambiguous'))::integer,
			next_at = CASE WHEN r.outcome IN ('throttled', 'temporary') THEN now() + r.wait END,
			worker = NULL, lease_until = NULL, last_code = r.code, last_error = CASE WHEN r.outcome <> 'accepted' THEN r.message END,
			provider = r.provider, provider_ref = r.provider_ref, template_version = r.version, body_digest = r.digest
		FROM result AS r
		WHERE n.period = r.period AND n.notice_id = r.notice_id AND n.fence = r.fence AND n.state IN ('sending', 'unknown')
			AND (n.state = 'sending' OR r.outcome <> 'ambiguous')
		RETURNING n.period, n.notice_id, n.account_id, n.run_id, n.revision, n.kind, n.channel, n.state, n.attempt, n.expires_at, n.source_partition,
			n.source_offset, n.payload, r.fence, r.started_at, r.finished_at, r.code, r.size, r.outcome, r.provider, r.message
	), attempted AS (
		INSERT INTO settle.notice_attempt (notice_id, fence, started_at, finished_at, period, attempt, code, bytes, outcome, provider, message)
		SELECT c.notice_id, c.fence, c.started_at, c.finished_at, c.period, c.attempt, c.code, c.size, c.outcome, coalesce(c.provider, 'none'), c.message
		FROM changed AS c
	), fallback AS (
		-- An e-mail that certainly was not accepted becomes an SMS: in this transaction, once, at most so many.
		INSERT INTO settle.notice (account_id, run_id, period, state, next_at, expires_at, source_partition, source_offset, revision, kind, channel, payload)
		SELECT c.account_id, c.run_id, c.period, (CASE WHEN d.due > now() THEN 'deferred' ELSE 'pending' END)::settle.notice_state,
			CASE WHEN d.due > now() THEN d.due END, c.expires_at, c.source_partition, c.source_offset, c.revision, c.kind, 'sms', c.payload
		FROM changed AS c JOIN settle.contact AS k ON k.account_id = c.account_id AND k.phone_sealed IS NOT NULL
			CROSS JOIN LATERAL (SELECT settle.contact_due(k, c.account_id, c.period, spread_limit, now()) AS due) AS d
		WHERE c.channel = 'email' AND c.state IN ('failed', 'dead') AND NOT settle.is_suppressed('sms', k)
		LIMIT greatest(max_fallbacks, 0)
		ON CONFLICT DO NOTHING RETURNING 1
	)
	SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM result) - (SELECT count(*) FROM changed), (SELECT count(*) FROM fallback)
	INTO recorded, fenced, fallbacks;
	PERFORM set_config('settle.notice_writer', 'none', true);
END $$;
COMMENT ON FUNCTION settle.notice_record(text, date[], bigint[], bigint[], text[], integer[], text[], text[], text[], integer[], timestamptz[], timestamptz[], integer[], bytea[], interval[], integer, integer, integer) IS
'records what became of claimed notices, with an attempt for each: accepted, temporary, permanent, ambiguous, not tried or throttled. An outcome counts with the fence of its claim only. waits: until the next attempt. E-mails that were refused for good, or whose attempts are used up, become an SMS, at most max_fallbacks in this call.
recorded; fenced: outcomes of claims that are no longer theirs; fallbacks: SMS made';

CREATE FUNCTION settle.notice_sweep(OUT released bigint, OUT lost bigint) RETURNS record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	PERFORM set_config('settle.notice_writer', 'notifier', true);
	UPDATE settle.notice AS n SET state = CASE WHEN n.next_at > now() THEN 'deferred' ELSE 'pending' END::settle.notice_state
	WHERE n.state = 'held' AND EXISTS (SELECT FROM settle.run AS r WHERE r.run_id = n.run_id AND r.released_at IS NOT NULL);
	GET DIAGNOSTICS released = ROW_COUNT;
	-- Whoever had it does not answer: nobody can say whether it went out.
	UPDATE settle.notice AS n SET state = 'unknown', last_error = 'its worker is gone'
	WHERE n.state = 'sending' AND n.lease_until < now();
	GET DIAGNOSTICS lost = ROW_COUNT;
	PERFORM set_config('settle.notice_writer', 'none', true);
END $$;
COMMENT ON FUNCTION settle.notice_sweep() IS 'what no event brings about: notices of runs that were released may go (released), claims whose lease has ended are unknown (lost)';

CREATE FUNCTION settle.notice_own(worker text) RETURNS TABLE (period date, notice_id bigint, fence bigint)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
	SELECT n.period::date, n.notice_id, n.fence FROM settle.notice AS n WHERE n.state = 'sending' AND n.worker = notice_own.worker
$$;
COMMENT ON FUNCTION settle.notice_own(text) IS 'what a worker has claimed and not recorded: after its death its journal says what may be on the wire';
