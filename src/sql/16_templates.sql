-- ------------------------------------------------------------------------------------------------------------------
-- 16 Templates: what notices say
--
-- A template is a row that never changes: a notice keeps its id and can be rendered again byte for byte. The newest
-- version that is not retired is used. Version 0 came with settle (17_templates_*.sql); those rows are made by CREATE
-- EXTENSION and so not dumped (20_rights.sql), with ids below 1000 that are theirs for ever, as are their
-- texts: a better text of a later release gets an id of its own.
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.template (
	template_id integer GENERATED ALWAYS AS IDENTITY (START WITH 1000) CONSTRAINT template_key PRIMARY KEY,
	kind text NOT NULL CONSTRAINT template_kind_known CHECK (kind IN ('bill', 'rebill', 'void')),
	channel text NOT NULL,
	locale text NOT NULL CONSTRAINT template_locale_form CHECK (locale ~ '^[a-z]{2}(-[A-Z]{2})?$'),
	version integer NOT NULL,
	subject text,
	html text,
	text text,
	title text,
	body text,
	created_by name DEFAULT session_user,
	created_at timestamptz DEFAULT now(),
	CONSTRAINT template_once UNIQUE (kind, channel, locale, version),
	CONSTRAINT template_shipped CHECK (num_nulls(created_by, created_at) = CASE version WHEN 0 THEN 2 ELSE 0 END
		AND (version = 0) = (template_id < 1000)),
	CONSTRAINT template_parts CHECK (CASE channel
		WHEN 'email' THEN num_nonnulls(subject, html, text) = 3 AND num_nonnulls(title, body) = 0
		WHEN 'sms' THEN text IS NOT NULL AND num_nonnulls(subject, html, title, body) = 0
		WHEN 'push' THEN num_nonnulls(title, body) = 2 AND num_nonnulls(subject, html, text) = 0
		ELSE false END)
);
COMMENT ON TABLE settle.template IS 'what notices say: a strict subset of Mustache ({{name}}, {{#section}}, {{^inverted}}, {{! comment}}) with the names that settle.template_names(kind) lists; written by settle_template_save()';
COMMENT ON COLUMN settle.template.template_id IS 'identifier; below 1000 for those that came with settle';
COMMENT ON COLUMN settle.template.kind IS 'bill, rebill (a bill that replaces an earlier one) or void (a bill is taken back)';
COMMENT ON COLUMN settle.template.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.template.locale IS 'language, or language and country: ko, en, en-GB';
COMMENT ON COLUMN settle.template.version IS '0 came with settle, then 1, 2 …; the newest that is not retired is used';
COMMENT ON COLUMN settle.template.subject IS 'e-mail: the subject, one line';
COMMENT ON COLUMN settle.template.html IS 'e-mail: the HTML part; values are escaped';
COMMENT ON COLUMN settle.template.text IS 'e-mail: the plain text part; sms: the message';
COMMENT ON COLUMN settle.template.title IS 'push: the title, one line';
COMMENT ON COLUMN settle.template.body IS 'push: the text';
COMMENT ON COLUMN settle.template.created_by IS 'who saved it; NULL for those that came with settle';
COMMENT ON COLUMN settle.template.created_at IS 'when it was saved; NULL for those that came with settle';

CREATE TABLE settle.template_retirement (
	template_id integer NOT NULL CONSTRAINT template_retirement_key PRIMARY KEY
		CONSTRAINT template_retirement_of REFERENCES settle.template,
	reason text NOT NULL,
	retired_by name NOT NULL DEFAULT session_user,
	retired_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE settle.template_retirement IS 'templates that are out of use; written by settle_template_retire(). A table of its own, so that retiring a template that came with settle is dumped';
COMMENT ON COLUMN settle.template_retirement.template_id IS 'the template';
COMMENT ON COLUMN settle.template_retirement.reason IS 'why';
COMMENT ON COLUMN settle.template_retirement.retired_by IS 'who took it out of use';
COMMENT ON COLUMN settle.template_retirement.retired_at IS 'when';

CREATE VIEW settle.template_status AS
	SELECT t.template_id, t.kind, t.channel, t.locale, t.version,
		r.template_id IS NULL AND NOT EXISTS (SELECT FROM settle.template AS newer
			WHERE (newer.kind, newer.channel, newer.locale) = (t.kind, t.channel, t.locale) AND newer.version > t.version
				AND NOT EXISTS (SELECT FROM settle.template_retirement AS n WHERE n.template_id = newer.template_id)) AS in_use,
		t.created_by, t.created_at, r.reason, r.retired_by, r.retired_at
	FROM settle.template AS t LEFT JOIN settle.template_retirement AS r ON r.template_id = t.template_id;
COMMENT ON VIEW settle.template_status IS 'templates without their texts, and which of them are used';
COMMENT ON COLUMN settle.template_status.template_id IS 'identifier';
COMMENT ON COLUMN settle.template_status.kind IS 'bill, rebill or void';
COMMENT ON COLUMN settle.template_status.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.template_status.locale IS 'language, or language and country';
COMMENT ON COLUMN settle.template_status.version IS '0 came with settle, then 1, 2 …';
COMMENT ON COLUMN settle.template_status.in_use IS 'whether new notices of this kind, channel and locale say this';
COMMENT ON COLUMN settle.template_status.created_by IS 'who saved it; NULL for those that came with settle';
COMMENT ON COLUMN settle.template_status.created_at IS 'when it was saved; NULL for those that came with settle';
COMMENT ON COLUMN settle.template_status.reason IS 'why it is out of use; NULL = it was not retired';
COMMENT ON COLUMN settle.template_status.retired_by IS 'who took it out of use';
COMMENT ON COLUMN settle.template_status.retired_at IS 'when';

CREATE FUNCTION settle.template_fault(kind text, part text, body text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_template_fault';
COMMENT ON FUNCTION settle.template_fault(text, text, text) IS 'what is wrong with a part of a template, with line and column; NULL when nothing is. subject and title are headers, html is HTML, other parts are text. Error 22023: unknown kind';

CREATE FUNCTION settle.template_names(kind text) RETURNS TABLE (name text, type text, within text, about text)
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_template_names';
COMMENT ON FUNCTION settle.template_names(text) IS 'the names that a template of a kind can use. value: {{name}}; optional: inside {{#name}} … {{/name}} only; flag: {{#name}} or {{^name}}; list: {{#name}} … {{/name}} is repeated for each item, whose names are those within it. Error 22023: unknown kind';

CREATE FUNCTION settle.template_for(kind text, channel text, locale text DEFAULT NULL, default_locale text DEFAULT 'en') RETURNS settle.template
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found settle.template;
BEGIN
	SELECT t.* INTO found
	FROM unnest(ARRAY[template_for.locale, split_part(template_for.locale, '-', 1), template_for.default_locale,
			split_part(template_for.default_locale, '-', 1)]) WITH ORDINALITY AS l (locale, rank)
		JOIN settle.template AS t ON t.locale = l.locale
	WHERE t.kind = template_for.kind AND t.channel = template_for.channel
		AND NOT EXISTS (SELECT FROM settle.template_retirement AS r WHERE r.template_id = t.template_id)
	ORDER BY l.rank, t.version DESC LIMIT 1;
	IF found.template_id IS NULL THEN
		RAISE EXCEPTION 'there is no template for % by %, neither for locale % nor for the default %', template_for.kind,
				template_for.channel, coalesce(template_for.locale, '(none)'), template_for.default_locale
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'settle_template_save() makes one.';
	END IF;
	RETURN found;
END $$;
COMMENT ON FUNCTION settle.template_for(text, text, text, text) IS 'the template that a new notice uses: the newest that is not retired, of the locale, else of its language, else of the default locale and its language. Error 55000: there is none';

CREATE FUNCTION settle_template_save(kind text, channel text, locale text, subject text DEFAULT NULL, html text DEFAULT NULL,
	text text DEFAULT NULL, title text DEFAULT NULL, body text DEFAULT NULL, command_id uuid DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	earlier CONSTANT jsonb := settle.command_claim(command_id, 'settle_template_save', jsonb_build_object('kind', kind,
		'channel', channel, 'locale', locale, 'digest',
		encode(sha256(convert_to(jsonb_build_array(subject, html, text, title, body)::text, 'UTF8')), 'hex')));
	needed CONSTANT text[] := CASE channel WHEN 'email' THEN '{subject,html,text}'::text[] WHEN 'sms' THEN '{text}'
		WHEN 'push' THEN '{title,body}' END;
	part record;
	fault text;
	saved integer;
BEGIN
	IF earlier IS NOT NULL THEN
		RETURN earlier::integer;
	ELSIF kind IS NULL OR locale IS NULL THEN
		RAISE EXCEPTION 'kind, channel and locale are needed' USING ERRCODE = 'null_value_not_allowed';
	ELSIF needed IS NULL THEN
		RAISE EXCEPTION 'unknown channel: "%"', channel USING ERRCODE = 'invalid_parameter_value', HINT = 'email, sms or push.';
	END IF;
	PERFORM settle.check_contact('locale', locale);
	FOR part IN SELECT * FROM (VALUES ('subject', subject), ('html', html), ('text', text), ('title', title), ('body', body)) AS p (name, value) LOOP
		IF (part.name = ANY (needed)) <> (part.value IS NOT NULL) THEN
			RAISE EXCEPTION 'a template for % has %', channel, CASE WHEN part.value IS NULL THEN 'a ' || part.name ELSE 'no ' || part.name END
				USING ERRCODE = 'invalid_parameter_value', HINT = format('Its parts are: %s.', array_to_string(needed, ', '));
		END IF;
		fault := CASE WHEN btrim(part.value, E' \t\r\n') = '' THEN part.name || ': it is empty' ELSE settle.template_fault(kind, part.name, part.value) END;
		IF fault IS NOT NULL THEN
			RAISE EXCEPTION '%', fault USING ERRCODE = 'invalid_parameter_value',
				HINT = format('SELECT * FROM settle.template_names(%L) lists the names.', kind);
		END IF;
	END LOOP;
	-- Two that save at once get one version after the other.
	LOCK TABLE settle.template IN SHARE ROW EXCLUSIVE MODE;
	INSERT INTO settle.template AS t (kind, channel, locale, version, subject, html, text, title, body)
	VALUES (kind, channel, locale, (SELECT coalesce(max(o.version), 0) + 1 FROM settle.template AS o
		WHERE o.kind = kind AND o.channel = channel AND o.locale = locale), subject, html, text, title, body)
	RETURNING t.version INTO saved;
	PERFORM settle.command_finish(command_id, to_jsonb(saved));
	RETURN saved;
END $$;
COMMENT ON FUNCTION settle_template_save(text, text, text, text, text, text, text, text, uuid) IS
'saves a new version of a template, which new notices of this kind (bill, rebill, void), channel and locale use from now on; returns the version. Notices that exist keep theirs.
Parts: email has subject, html and text; sms has text; push has title and body. Every part is checked: names that are not known, wrong nesting, values that may be missing outside their section, and more, each with line and column. For settle_admin. Errors: 22023 a part that is faulty, missing or not of this channel, unknown kind, channel or locale, 22004 without kind or locale, ST012 command id used otherwise';

CREATE FUNCTION settle_template_retire(kind text, channel text, locale text, version integer, reason text, command_id uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	retired integer;
BEGIN
	IF settle.command_claim(command_id, 'settle_template_retire', jsonb_build_object('kind', kind, 'channel', channel,
			'locale', locale, 'version', version, 'reason', reason)) IS NOT NULL THEN
		RETURN;
	END IF;
	PERFORM settle.require_reason(reason, 'retiring a template', 'settle.template_retirement');
	LOCK TABLE settle.template IN SHARE ROW EXCLUSIVE MODE;
	SELECT t.template_id INTO retired FROM settle.template AS t
	WHERE t.kind = kind AND t.channel = channel AND t.locale = locale AND t.version = version;
	IF retired IS NULL THEN
		RAISE EXCEPTION 'there is no template % % % of version %', kind, channel, locale, coalesce(version::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'See settle.template_status.';
	END IF;
	INSERT INTO settle.template_retirement (template_id, reason) VALUES (retired, reason) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'template % % % of version % is retired already', kind, channel, locale, version
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'See settle.template_status.';
	END IF;
	-- Error 55000 when customers of that locale would be left without any.
	PERFORM settle.template_for(kind, channel, locale);
	PERFORM settle.command_finish(command_id, 'null');
END $$;
COMMENT ON FUNCTION settle_template_retire(text, text, text, integer, text, uuid) IS
'takes a version of a template out of use: new notices use the newest version that is left, else that of the language or of locale en. Notices that exist keep it. For settle_admin.
Errors: 22023 no such template, or no reason, 55000 it is retired already, or none would be left to use, ST012 command id used otherwise';
