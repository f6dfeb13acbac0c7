-- Design §7: templates are checked when they are saved, have versions that never change, fall back from country to language
-- to the default locale, and can be taken out of use. Those that come with settle are complete and pass the same check.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_templates WITH (FORCE);
CREATE DATABASE settle_templates;
\c settle_templates
SET client_min_messages = warning;
CREATE EXTENSION settle;
SELECT settle_init(2);

\echo what came with settle: every kind and channel in both languages, without a fault
SELECT locale, channel, count(*) AS kinds, bool_and(in_use AND version = 0 AND template_id < 1000) AS shipped
FROM settle.template_status GROUP BY 1, 2 ORDER BY 1, 2;
SELECT t.template_id, p.part, settle.template_fault(t.kind, p.part, p.value) AS fault
FROM settle.template AS t, LATERAL (VALUES ('subject', t.subject), ('html', t.html), ('text', t.text), ('title', t.title), ('body', t.body)) AS p (part, value)
WHERE settle.template_fault(t.kind, p.part, p.value) IS NOT NULL;
-- every line of a bill is shown, and nothing is loaded from outside
SELECT count(*) AS emails, count(*) FILTER (WHERE kind = 'void' OR html ~ '{{#lines}}.*{{amount}}.*{{/lines}}' AND text ~ '{{#lines}}.*{{amount}}.*{{/lines}}') AS with_lines,
	count(*) FILTER (WHERE html ~* 'https?:|src=|@import|url\(') AS remote
FROM settle.template WHERE channel = 'email';

\echo the names
SELECT name, type, within FROM settle.template_names('bill') WHERE name IN ('company', 'customer_name', 'revised', 'lines', 'amount', 'quantity', 'several');
SELECT string_agg(name, ' ') FROM settle.template_names('void');
SELECT settle.template_names('letter');

\echo versions; the newest that is not retired is used
SELECT settle_template_save('bill', 'sms', 'ko', text => '{{month}} {{total}}');
SELECT settle_template_save('bill', 'sms', 'ko', text => '{{month}} 요금 {{total}}', command_id => '00000000-0000-0000-0000-000000000001');
SELECT settle_template_save('bill', 'sms', 'ko', text => '{{month}} 요금 {{total}}', command_id => '00000000-0000-0000-0000-000000000001') AS the_same;
SELECT settle_template_save('bill', 'email', 'de', subject => 'Rechnung {{period}}', html => '<p>{{total}}</p>', text => '{{total}}');
SELECT settle_template_save('bill', 'push', 'en-GB', title => 'Bill', body => '{{total}}');
SELECT template_id, kind, channel, locale, version, in_use FROM settle.template_status WHERE version > 0 OR (kind, channel, locale) = ('bill', 'sms', 'ko') ORDER BY 3, 4, 5;
SELECT text FROM settle.template_for('bill', 'sms', 'ko-KR');

\echo fallback: country, language, default, error
SELECT l.locale, t.locale, t.version FROM unnest('{ko,ko-KR,de,de-AT,en,en-US,fr,NULL}'::text[]) WITH ORDINALITY AS l (locale, n), settle.template_for('bill', 'email', l.locale) AS t ORDER BY n;
SELECT locale, version FROM settle.template_for('bill', 'push', 'en-GB');
SELECT locale FROM settle.template_for('bill', 'push', 'fr', 'en-GB');
SELECT locale FROM settle.template_for('bill', 'push', 'fr', 'ko-KR');
SELECT locale FROM settle.template_for('bill', 'push', 'fr', 'fr');
\echo :LAST_ERROR_SQLSTATE
SELECT locale FROM settle.template_for('bill', 'pigeon');

\echo retired: the one before is used again, then the language's, the default's; the last one stays
SELECT settle_template_retire('bill', 'sms', 'ko', 2, 'typo', command_id => '00000000-0000-0000-0000-000000000002');
SELECT settle_template_retire('bill', 'sms', 'ko', 2, 'typo', command_id => '00000000-0000-0000-0000-000000000002');
SELECT version FROM settle.template_for('bill', 'sms', 'ko');
SELECT settle_template_retire('bill', 'sms', 'ko', 2, 'again');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_template_retire('bill', 'sms', 'ko', 1, 'too short');
SELECT settle_template_retire('bill', 'sms', 'ko', 0, 'not ours');
SELECT locale, version FROM settle.template_for('bill', 'sms', 'ko');
SELECT settle_template_retire('bill', 'sms', 'en', 0, 'the last one');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_template_retire('bill', 'sms', 'en', 7, 'none');
SELECT settle_template_retire('bill', 'sms', 'en', NULL, 'none');
SELECT settle_template_retire('bill', 'sms', 'en', 0, ' ');
SELECT settle_template_save('bill', 'sms', 'ko', text => '{{total}}') AS a_new_number;
SELECT version, in_use, reason, retired_by = session_user AS by_me FROM settle.template_status WHERE (kind, channel, locale) = ('bill', 'sms', 'ko') ORDER BY version;

\echo refused: faults with their place, parts of another channel, unknown words
SELECT settle_template_save('bill', 'sms', 'ko', text => E'{{month}}\n요금 {{totl}}');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_template_save('void', 'sms', 'ko', text => '{{total}}');
SELECT settle_template_save('bill', 'email', 'ko', subject => 'a {{{company}}}', html => 'b', text => 'c');
SELECT settle_template_save('bill', 'email', 'ko', subject => E'a\nBcc: b', html => 'b', text => 'c');
SELECT settle_template_save('bill', 'email', 'ko', subject => 'a', html => '{{#lines}}{{name}}{{/lines}}', text => 'c');
SELECT settle_template_save('bill', 'email', 'ko', subject => 'a', html => 'b', text => '{{#lines}}{{> line}}{{/lines}}');
SELECT settle_template_save('bill', 'email', 'ko', subject => 'a', html => 'b', text => E'\n');
SELECT settle_template_save('bill', 'email', 'ko', subject => 'a', html => 'b');
SELECT settle_template_save('bill', 'sms', 'ko', text => 'a', title => 'b');
SELECT settle_template_save('bill', 'sms', 'ko', text => repeat('a', 1024 * 1024 + 1));
SELECT settle_template_save('letter', 'sms', 'ko', text => 'a');
SELECT settle_template_save('bill', 'fax', 'ko', text => 'a');
SELECT settle_template_save('bill', NULL, 'ko', text => 'a');
SELECT settle_template_save(NULL, 'sms', 'ko', text => 'a');
SELECT settle_template_save('bill', 'sms', 'Korean', text => 'a');
\set VERBOSITY terse
SELECT settle_template_save('bill', 'sms', 'ko', text => 'other', command_id => '00000000-0000-0000-0000-000000000001');
\set VERBOSITY default
SELECT count(*) FROM settle.template WHERE version > 0;

\echo who may: administrators save and retire, the notifier and readers look, operators too
SET ROLE settle_operator;
SELECT settle_template_save('bill', 'sms', 'ko', text => 'a');
SELECT settle_template_retire('bill', 'sms', 'ko', 1, 'a');
SELECT version FROM settle.template_for('bill', 'sms', 'ko');
SET ROLE settle_notifier;
SELECT version, text FROM settle.template_for('bill', 'sms', 'ko');
SELECT length(text) FROM settle.template WHERE template_id = 1000;
UPDATE settle.template SET text = 'a';
SET ROLE settle_admin;
SELECT settle_template_save('bill', 'sms', 'ja', text => 'a') AS saved;
UPDATE settle.template SET text = 'a';
RESET ROLE;

\c postgres
SET client_min_messages = warning;
DROP DATABASE settle_templates;
