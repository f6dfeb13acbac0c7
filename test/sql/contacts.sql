-- Design §9: contact data is sealed with keys of a file, masked for operators, found by keyed hashes, and sealed anew when
-- a key is added. Without the right key there is an error, and never the value or its cipher text for it.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_contacts WITH (FORCE);
CREATE DATABASE settle_contacts;
\c settle_contacts
SET client_min_messages = warning;
CREATE EXTENSION settle;
SELECT settle_init(2);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 5) AS id;
SELECT current_setting('data_directory') || '/regress_keyring' AS path \gset
-- writes the keyring as the server's user, with a mode
CREATE PROCEDURE keyring(mode text, lines text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY (SELECT unnest(string_to_array(%L, '','')) ) TO PROGRAM %L', lines,
		format('rm -f %1$s; cat > %1$s; chmod %2$s %1$s', quote_literal(current_setting('data_directory') || '/regress_keyring'), mode));
END $$;
CREATE FUNCTION attempt(OUT code text, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM settle.key_ids();
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	code := SQLSTATE;
	message := replace(SQLERRM, current_setting('settle.keyring_file'), 'FILE');
END $$;
SELECT repeat('0a', 32) AS a, repeat('0b', 32) AS b, repeat('0c', 32) AS c \gset

\echo no keyring is set
SELECT settle_set_contact(1, name => '홍길동');
\echo :LAST_ERROR_SQLSTATE
SELECT settle.key_ids();
SELECT settle_set_contact(1, locale => 'ko');
ALTER SYSTEM SET settle.keyring_file = 'relative';
ALTER SYSTEM SET settle.keyring_file = :'path';
COPY (SELECT) TO PROGRAM 'rm -f regress_keyring';
SELECT pg_reload_conf(), pg_sleep(0.5);
\c
SET client_min_messages = warning;
SELECT current_setting('settle.keyring_file') = :'path' AS set;
\echo it is not there, others can read it, it is malformed
SELECT * FROM attempt();
CALL keyring('0640', 'hash ' || :'a' || ',key 1 ' || :'a');
SELECT * FROM attempt();
CALL keyring('0600', 'hash ' || :'a' || ',key 1 abc');
SELECT * FROM attempt();
CALL keyring('0600', 'key 1 ' || :'a');
SELECT * FROM attempt();
CALL keyring('0600', 'hash ' || :'a' || ',key 1 ' || :'a');
SELECT settle.key_ids();

\echo values: sealed, masked, found
SELECT settle_set_contact(1, name => '홍길동', email => 'Hong.Gildong@example.com', phone => '010-1234-5678', push_token => 'token',
	preferred_channel => 'email', locale => 'ko', time_zone => 'Asia/Seoul', send_day => 5, send_time => '10:00', quiet_start => '22:00', quiet_end => '08:00');
SELECT settle_set_contact(2, name => 'Li', email => 'a@example.com', phone => '+82 10 1234 5678');
SELECT settle_set_contact(3, name => '홍', email => 'HONG.gildong@Example.com');
SELECT account_id, name_masked, email_masked, phone_masked, preferred_channel, locale, time_zone, send_day, send_time, quiet_start, quiet_end FROM settle.contact ORDER BY 1;
SELECT account_id, length(name_sealed), length(email_sealed), length(phone_sealed), length(push_token_sealed), length(email_hash), length(phone_hash) FROM settle.contact ORDER BY 1;
SELECT count(*) AS readable FROM settle.contact AS c WHERE encode(c::text::bytea, 'escape') ~* 'gildong|길동|1234-5678|token' OR position('Gildong'::bytea IN email_sealed) > 0;
SELECT * FROM settle_find_contact(email => 'hong.gildong@example.com');
SELECT * FROM settle_find_contact(phone => '01012345678');
SELECT * FROM settle_find_contact(phone => '+821012345678');
SELECT * FROM settle_find_contact(email => 'hong.gildong@example.com', phone => '010 1234 5678');
SELECT * FROM settle_find_contact(email => 'nobody@example.com');
SELECT * FROM settle_find_contact();
-- the hash has an index on each bucket
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM settle.contact WHERE email_hash = '\x00';
RESET enable_seqscan;

\echo what is not given stays, what is cleared goes
SELECT settle_set_contact(1, email => 'new@example.com', clear => '{phone,quiet_hours,send_day}');
SELECT name_masked, email_masked, phone_masked, phone_sealed, phone_hash, locale, send_day, quiet_start, quiet_end FROM settle.contact WHERE account_id = 1;
SELECT account_id FROM settle_find_contact(email => 'hong.gildong@example.com');

\echo bad input: an error that does not repeat the value, and nothing is changed
SELECT settle_set_contact(77, locale => 'ko');
SELECT settle_set_contact(NULL, locale => 'ko');
SELECT settle_set_contact(1, email => 'no address');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_set_contact(1, email => value) FROM unnest(ARRAY['a@b', 'a@b..c', '@example.com', 'a@@example.com', '<a@example.com>', 'a,b@example.com', '"a b"@example.com']) AS value;
SELECT settle_set_contact(1, email => E'a@example.com\r\nBcc: b@example.com');
SELECT settle_set_contact(1, name => E'line\nbreak');
SELECT settle_set_contact(1, name => ' ');
SELECT settle_set_contact(1, name => repeat('x', 255));
SELECT settle_set_contact(1, phone => '12345');
SELECT settle_set_contact(1, phone => '010-1234-567x');
SELECT settle_set_contact(1, preferred_channel => 'pigeon');
SELECT settle_set_contact(1, locale => 'Korean');
SELECT settle_set_contact(1, time_zone => 'Mars/Phobos');
SELECT settle_set_contact(1, time_zone => 'KST-9');
SELECT settle_set_contact(1, send_day => 29);
SELECT settle_set_contact(1, quiet_start => '22:00');
SELECT settle_set_contact(1, clear => '{shoe_size}');
SELECT settle_set_contact(1, clear => NULL);
SELECT name_masked, email_masked, locale, time_zone FROM settle.contact WHERE account_id = 1;

\echo commands: a repeat does nothing; their journal holds no value
SELECT settle_set_contact(4, name => 'Kim Chulsoo', command_id => '00000000-0000-0000-0000-000000000001');
SELECT settle_set_contact(4, name => 'Kim', command_id => gen_random_uuid());
SELECT settle_set_contact(4, name => 'Kim Chulsoo', command_id => '00000000-0000-0000-0000-000000000001');
\set VERBOSITY terse
SELECT settle_set_contact(4, name => 'Park', command_id => '00000000-0000-0000-0000-000000000001');
\set VERBOSITY default
SELECT name_masked FROM settle.contact WHERE account_id = 4;
SELECT count(*) AS commands, count(*) FILTER (WHERE arguments::text ~ 'Kim|Chulsoo') AS with_name FROM settle.command WHERE verb = 'settle_set_contact';

\echo a new key: old values still open, settle_rotate_keys() seals them anew, then the old key can go
CALL keyring('0600', 'hash ' || :'a' || ',key 1 ' || :'a' || ',key 3 ' || :'b');
SELECT settle.key_ids();
SELECT settle_set_contact(5, name => 'sealed with 3');
SELECT substring(name_sealed FROM 1 FOR 5) AS key, count(*) FROM settle.contact GROUP BY 1 ORDER BY 1;
SELECT settle_rotate_keys(0);
SELECT settle_rotate_keys(3, command_id => '00000000-0000-0000-0000-000000000002') AS contacts;
SELECT settle_rotate_keys(3, command_id => '00000000-0000-0000-0000-000000000002') AS the_same;
SELECT settle_rotate_keys() AS contacts;
SELECT settle_rotate_keys() AS contacts;
SELECT substring(name_sealed FROM 1 FOR 5) AS key, count(*) FROM settle.contact GROUP BY 1 ORDER BY 1;
CALL keyring('0600', 'hash ' || :'a' || ',key 3 ' || :'b');
SELECT settle_rotate_keys() AS nothing;
SELECT account_id FROM settle_find_contact(email => 'new@example.com');

\echo a value of another account, a missing key, another key of the same id: none opens
BEGIN;
UPDATE settle.contact AS c SET email_sealed = o.email_sealed FROM settle.contact AS o WHERE c.account_id = 2 AND o.account_id = 1;
CALL keyring('0600', 'hash ' || :'a' || ',key 3 ' || :'b' || ',key 4 ' || :'c');
SELECT settle_rotate_keys();
ROLLBACK;
\echo :LAST_ERROR_SQLSTATE
CALL keyring('0600', 'hash ' || :'a' || ',key 4 ' || :'c');
SELECT settle.reseal(1, 'name', (SELECT name_sealed FROM settle.contact WHERE account_id = 1));
CALL keyring('0600', 'hash ' || :'a' || ',key 3 ' || :'c' || ',key 4 ' || :'c');
SELECT settle.reseal(1, 'name', (SELECT name_sealed FROM settle.contact WHERE account_id = 1));
SELECT settle.reseal(1, 'name', '\x00'), settle.reseal(1, 'name', NULL) IS NULL AS strict;

\echo who may: operators set and find, administrators rotate, nobody opens
SET ROLE settle_operator;
SELECT settle_set_contact(5, locale => 'en');
SELECT settle.reseal(1, 'name', '\x00');
SELECT settle_rotate_keys();
SET ROLE settle_reader;
SELECT settle_set_contact(5, locale => 'ko');
SELECT * FROM settle_find_contact(email => 'new@example.com');
RESET ROLE;

ALTER SYSTEM RESET settle.keyring_file;
SELECT pg_reload_conf();
\c postgres
SET client_min_messages = warning;
DROP DATABASE settle_contacts;
