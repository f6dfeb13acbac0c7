-- ------------------------------------------------------------------------------------------------------------------
-- 15 Contacts: personal data, sealed
--
-- Names, addresses and tokens are stored as src/common/seal.h says: only the notifier opens them, with a keyring of its
-- own. What operators see is masked, what finds an address is a keyed hash.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.seal(account_id bigint, field text, value text) RETURNS bytea
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'settle_seal';
COMMENT ON FUNCTION settle.seal(bigint, text, text) IS 'seals a value with the newest key, bound to account and field';

CREATE FUNCTION settle.reseal(account_id bigint, field text, sealed bytea) RETURNS bytea
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'settle_reseal';
COMMENT ON FUNCTION settle.reseal(bigint, text, bytea) IS 'the value sealed with the newest key; NULL when it is already. Error XX001: its key is missing or another one, or the value is damaged';

CREATE FUNCTION settle.seal_hash(field text, value text) RETURNS bytea
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'settle_seal_hash';
COMMENT ON FUNCTION settle.seal_hash(text, text) IS 'keyed hash of a value, by which it is found';

CREATE FUNCTION settle.mask(field text, value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_mask';
COMMENT ON FUNCTION settle.mask(text, text) IS 'a name, email or phone as operators may see it: 홍**, ho**********@example.com, 010-****-5678; *** when the rules would hide nothing';

CREATE FUNCTION settle.key_ids() RETURNS integer[]
	LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'settle_key_ids';
COMMENT ON FUNCTION settle.key_ids() IS 'ids of the keys in settle.keyring_file; the last one seals. Errors: 55000 no keyring is set, F0000 it is malformed, unsafe or not to be read';

CREATE FUNCTION settle.is_time_zone(name text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_is_time_zone';
COMMENT ON FUNCTION settle.is_time_zone(text) IS 'whether the server knows a time zone of that name, like Asia/Seoul or UTC; rules like KST-9 are no names';

-- How an address is written does not decide whether it is found.
CREATE FUNCTION settle.normal_form(field text, value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE field WHEN 'email' THEN lower(value) WHEN 'phone' THEN regexp_replace(value, '[^0-9+]', '', 'g') ELSE value END;
COMMENT ON FUNCTION settle.normal_form(text, text) IS 'what is hashed of an address: an e-mail address in small letters, the digits of a phone number';

CREATE FUNCTION settle.check_contact(field text, value text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
BEGIN
	-- The value is not repeated in the error: logs hold no personal data.
	IF value ~ '[\x01-\x1f\x7f]' OR length(value) > (CASE field WHEN 'push_token' THEN 4096 ELSE 254 END) OR btrim(value) = '' THEN
		RAISE EXCEPTION '% is empty, too long or has control characters', field USING ERRCODE = 'invalid_parameter_value',
			HINT = format('clear => ''{%s}'' removes it.', field);
	ELSIF field = 'email' AND value !~ '^[^@\s<>(),:;"\\]{1,64}@[^@\s<>(),:;"\\.]+(\.[^@\s<>(),:;"\\.]+)+$' THEN
		RAISE EXCEPTION 'email is no e-mail address' USING ERRCODE = 'invalid_parameter_value', HINT = 'Like hong@example.com.';
	ELSIF field = 'phone' AND value !~ '^\+?[0-9]([ -]?[0-9]){6,17}$' THEN
		RAISE EXCEPTION 'phone is no phone number' USING ERRCODE = 'invalid_parameter_value', HINT = 'Like 010-1234-5678 or +82 10 1234 5678.';
	ELSIF field = 'preferred_channel' AND value NOT IN ('email', 'sms', 'push') THEN
		RAISE EXCEPTION 'unknown channel: "%"', value USING ERRCODE = 'invalid_parameter_value', HINT = 'email, sms or push.';
	ELSIF field = 'locale' AND value !~ '^[a-z]{2}(-[A-Z]{2})?$' THEN
		RAISE EXCEPTION 'unknown locale: "%"', value USING ERRCODE = 'invalid_parameter_value', HINT = 'Like ko, en or en-GB.';
	ELSIF field = 'time_zone' THEN
		IF NOT settle.is_time_zone(value) THEN
			RAISE EXCEPTION 'unknown time zone: "%"', value USING ERRCODE = 'invalid_parameter_value', HINT = 'A name of pg_timezone_names, like Asia/Seoul.';
		END IF;
	END IF;
END $$;
COMMENT ON FUNCTION settle.check_contact(text, text) IS 'error 22023 when a text is not what the field of a contact holds';

CREATE FUNCTION settle.index_contacts(buckets integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	leaf text;
BEGIN
	FOR bucket IN 0 .. buckets - 1 LOOP
		leaf := settle.leaf_name('contact', NULL, bucket);
		EXECUTE format('CREATE INDEX %I ON settle.%I (email_hash) WHERE email_hash IS NOT NULL', leaf || '_email', leaf);
		EXECUTE format('CREATE INDEX %I ON settle.%I (phone_hash) WHERE phone_hash IS NOT NULL', leaf || '_phone', leaf);
	END LOOP;
END $$;
COMMENT ON FUNCTION settle.index_contacts(integer) IS 'creates the indexes by which settle_find_contact() finds an address';

CREATE FUNCTION settle_set_contact(account_id bigint, name text DEFAULT NULL, email text DEFAULT NULL, phone text DEFAULT NULL,
	push_token text DEFAULT NULL, preferred_channel text DEFAULT NULL, locale text DEFAULT NULL, time_zone text DEFAULT NULL,
	send_day integer DEFAULT NULL, send_time time DEFAULT NULL, quiet_start time DEFAULT NULL, quiet_end time DEFAULT NULL,
	clear text[] DEFAULT '{}', command_id uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	fields CONSTANT text[] := ARRAY['name', 'email', 'phone', 'push_token', 'preferred_channel', 'locale', 'time_zone', 'send_day', 'quiet_hours'];
	wrong text;
BEGIN
	-- The journal of commands holds no personal data either.
	IF command_id IS NOT NULL AND settle.command_claim(command_id, 'settle_set_contact', jsonb_build_object('account_id', account_id,
			'digest', encode(settle.seal_hash('command', concat_ws(E'\n', name, email, phone, push_token, preferred_channel, locale, time_zone,
				send_day, send_time, quiet_start, quiet_end, clear)), 'hex'))) IS NOT NULL THEN
		RETURN;
	END IF;
	SELECT f INTO wrong FROM unnest(clear) AS f WHERE f IS NULL OR f <> ALL (fields) LIMIT 1;
	IF FOUND OR clear IS NULL THEN
		RAISE EXCEPTION 'a contact has no field "%" to clear', wrong USING ERRCODE = 'invalid_parameter_value',
			HINT = array_to_string(fields, ', ') || '.';
	END IF;
	PERFORM settle.check_contact(f.field, f.value)
	FROM (VALUES ('name', name), ('email', email), ('phone', phone), ('push_token', push_token), ('preferred_channel', preferred_channel),
		('locale', locale), ('time_zone', time_zone)) AS f (field, value)
	WHERE f.value IS NOT NULL;
	IF send_day NOT BETWEEN 1 AND 28 THEN
		RAISE EXCEPTION 'send_day must be 1 to 28, not %', send_day USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Every month has these days.';
	ELSIF (quiet_start IS NULL) <> (quiet_end IS NULL) THEN
		RAISE EXCEPTION 'quiet_start and quiet_end are set together' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM FROM settle.account AS a WHERE a.account_id = account_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'account % does not exist', coalesce(account_id::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
	END IF;

	INSERT INTO settle.contact AS c (account_id) VALUES (account_id) ON CONFLICT DO NOTHING;
	UPDATE settle.contact AS c SET
		name_sealed = CASE WHEN 'name' = ANY (clear) THEN NULL ELSE coalesce(settle.seal(account_id, 'name', name), c.name_sealed) END,
		name_masked = CASE WHEN 'name' = ANY (clear) THEN NULL ELSE coalesce(settle.mask('name', name), c.name_masked) END,
		email_sealed = CASE WHEN 'email' = ANY (clear) THEN NULL ELSE coalesce(settle.seal(account_id, 'email', email), c.email_sealed) END,
		email_masked = CASE WHEN 'email' = ANY (clear) THEN NULL ELSE coalesce(settle.mask('email', email), c.email_masked) END,
		email_hash = CASE WHEN 'email' = ANY (clear) THEN NULL ELSE coalesce(settle.seal_hash('email', settle.normal_form('email', email)), c.email_hash) END,
		phone_sealed = CASE WHEN 'phone' = ANY (clear) THEN NULL ELSE coalesce(settle.seal(account_id, 'phone', phone), c.phone_sealed) END,
		phone_masked = CASE WHEN 'phone' = ANY (clear) THEN NULL ELSE coalesce(settle.mask('phone', phone), c.phone_masked) END,
		phone_hash = CASE WHEN 'phone' = ANY (clear) THEN NULL ELSE coalesce(settle.seal_hash('phone', settle.normal_form('phone', phone)), c.phone_hash) END,
		push_token_sealed = CASE WHEN 'push_token' = ANY (clear) THEN NULL ELSE coalesce(settle.seal(account_id, 'push_token', push_token), c.push_token_sealed) END,
		preferred_channel = CASE WHEN 'preferred_channel' = ANY (clear) THEN NULL ELSE coalesce(preferred_channel, c.preferred_channel) END,
		locale = CASE WHEN 'locale' = ANY (clear) THEN NULL ELSE coalesce(locale, c.locale) END,
		time_zone = CASE WHEN 'time_zone' = ANY (clear) THEN NULL ELSE coalesce(time_zone, c.time_zone) END,
		send_day = CASE WHEN 'send_day' = ANY (clear) THEN NULL ELSE coalesce(send_day, c.send_day) END,
		send_time = coalesce(send_time, c.send_time),
		quiet_start = CASE WHEN 'quiet_hours' = ANY (clear) THEN NULL ELSE coalesce(quiet_start, c.quiet_start) END,
		quiet_end = CASE WHEN 'quiet_hours' = ANY (clear) THEN NULL ELSE coalesce(quiet_end, c.quiet_end) END
	WHERE c.account_id = account_id;
	PERFORM settle.command_finish(command_id, 'null');
END $$;
COMMENT ON FUNCTION settle_set_contact(bigint, text, text, text, text, text, text, text, integer, time, time, time, text[], uuid) IS
'sets how an account is told about its bills; what is not given stays as it is. Name, e-mail address, phone number and push token are sealed, with a masked form for operators and a hash that finds the address.
clear: fields to remove: name, email, phone, push_token, preferred_channel, locale, time_zone, send_day, quiet_hours. send_day: 1 to 28. Quiet hours may lie across midnight; equal ends mean none.
Statements can be logged: send values as parameters. Errors: 22023 a value that is none, or no such account, 55000 no keyring (settle.keyring_file), F0000 keyring unsafe or malformed, ST012 command id used otherwise';

CREATE FUNCTION settle_find_contact(email text DEFAULT NULL, phone text DEFAULT NULL)
RETURNS TABLE (account_id bigint, name_masked text, email_masked text, phone_masked text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_column
DECLARE
	email_wanted CONSTANT bytea := settle.seal_hash('email', settle.normal_form('email', settle_find_contact.email));
	phone_wanted CONSTANT bytea := settle.seal_hash('phone', settle.normal_form('phone', settle_find_contact.phone));
BEGIN
	IF num_nonnulls(email_wanted, phone_wanted) = 0 THEN
		RAISE EXCEPTION 'an e-mail address or a phone number is needed' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY SELECT c.account_id, c.name_masked, c.email_masked, c.phone_masked FROM settle.contact AS c
		WHERE (email_wanted IS NULL OR c.email_hash = email_wanted) AND (phone_wanted IS NULL OR c.phone_hash = phone_wanted)
		ORDER BY c.account_id;
END $$;
COMMENT ON FUNCTION settle_find_contact(text, text) IS 'accounts with exactly this e-mail address (large and small letters are the same) and this phone number (digits and + count). Errors: 22023 neither given, 55000 no keyring';

CREATE FUNCTION settle_rotate_keys(max_rows bigint DEFAULT 100000, command_id uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_rotate_keys', jsonb_build_object('max_rows', max_rows));
	ids CONSTANT integer[] := settle.key_ids();
	newest CONSTANT bytea := '\x01'::bytea || decode(lpad(to_hex(ids[cardinality(ids)]), 8, '0'), 'hex');
	done bigint;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::bigint;
	ELSIF max_rows IS NULL OR max_rows < 1 THEN
		RAISE EXCEPTION 'max_rows must be at least 1' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	WITH old AS (
		SELECT c.account_id FROM settle.contact AS c
		WHERE substring(c.name_sealed FROM 1 FOR 5) <> newest OR substring(c.email_sealed FROM 1 FOR 5) <> newest
			OR substring(c.phone_sealed FROM 1 FOR 5) <> newest OR substring(c.push_token_sealed FROM 1 FOR 5) <> newest
		LIMIT max_rows FOR NO KEY UPDATE SKIP LOCKED
	)
	UPDATE settle.contact AS c SET
		name_sealed = coalesce(settle.reseal(c.account_id, 'name', c.name_sealed), c.name_sealed),
		email_sealed = coalesce(settle.reseal(c.account_id, 'email', c.email_sealed), c.email_sealed),
		phone_sealed = coalesce(settle.reseal(c.account_id, 'phone', c.phone_sealed), c.phone_sealed),
		push_token_sealed = coalesce(settle.reseal(c.account_id, 'push_token', c.push_token_sealed), c.push_token_sealed)
	FROM old WHERE c.account_id = old.account_id;
	GET DIAGNOSTICS done = ROW_COUNT;
	PERFORM settle.command_finish(command_id, to_jsonb(done));
	RETURN done;
END $$;
COMMENT ON FUNCTION settle_rotate_keys(bigint, uuid) IS
'seals contacts anew whose values were sealed with an older key than the newest of settle.keyring_file, at most so many in one transaction; returns how many. Repeat it until it returns 0 (contacts that are locked are left for the next call); then the older keys can be removed, also from the notifier''s keyring.
Errors: 22023 max_rows, 55000 no keyring, F0000 keyring unsafe or malformed, XX001 a value that no key opens, ST012 command id used otherwise';
