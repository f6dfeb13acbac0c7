-- Design §7: when a notice may go. Quiet hours in the account's own zone, across midnight, at both changes of daylight
-- saving time; send_day and send_time; times are shown in the account's zone.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;
SET DateStyle = 'ISO';
SET TimeZone = 'UTC';

CREATE TEMP TABLE cases (n serial, zone text, day int, at_time time, quiet_from time, quiet_to time, spread int, at timestamptz, what text);
\echo quiet hours
INSERT INTO cases (zone, quiet_from, quiet_to, at, what) VALUES
	('Asia/Seoul', NULL, NULL, '2024-06-03 12:00+09', 'none'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-03 12:00+09', 'outside'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-03 21:59:59+09', 'a second before they begin'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-03 22:00+09', 'at their beginning'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-04 00:00+09', 'at midnight'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-04 07:59:59+09', 'a second before they end'),
	('Asia/Seoul', '22:00', '08:00', '2024-06-04 08:00+09', 'at their end'),
	('Asia/Seoul', '12:00', '14:00', '2024-06-03 13:00+09', 'on one day'),
	('Asia/Seoul', '09:00', '09:00', '2024-06-03 09:00+09', 'equal ends: none'),
	('Asia/Seoul', '00:00', '24:00', '2024-06-03 09:00+09', 'all day: 24:00 is 00:00, so none'),
	('America/Los_Angeles', '22:00', '08:00', '2024-06-03 12:00+09', 'another zone: 20:00 the day before'),
	('America/Los_Angeles', '20:00', '08:00', '2024-06-03 12:00+09', 'another zone, quiet'),
	('Mars/Phobos', '22:00', '08:00', '2024-06-03 23:00Z', 'an unknown zone is the session''s'),
	(NULL, '22:00', '08:00', '2024-06-03 23:00Z', 'no zone is the session''s');
\echo daylight saving: New York 2026-03-08 (02:00 does not exist) and 2026-11-01 (01:00 to 02:00 comes twice)
INSERT INTO cases (zone, quiet_from, quiet_to, at, what) VALUES
	('America/New_York', '22:00', '02:30', '2026-03-08 01:00-05', 'ends in the gap: the end of the gap'),
	('America/New_York', '22:00', '08:00', '2026-03-07 23:00-05', 'a night of 23 hours'),
	('America/New_York', '22:00', '01:30', '2026-11-01 00:30-04', 'ends in the overlap: its first occurrence'),
	('America/New_York', '22:00', '01:30', '2026-11-01 01:15-05', 'the first occurrence is past: the second'),
	('America/New_York', '22:00', '08:00', '2026-10-31 23:00-04', 'a night of 25 hours'),
	('Australia/Lord_Howe', '22:00', '02:15', '2026-10-03 23:00+10:30', 'a gap of half an hour'),
	('Europe/London', '23:00', '01:30', '2026-03-29 00:30Z', 'a gap at one o''clock');
\echo send_day and send_time of the month after
INSERT INTO cases (zone, day, at_time, quiet_from, quiet_to, at, what) VALUES
	('Asia/Seoul', 5, '09:00', NULL, NULL, '2024-06-03 12:00+09', 'to come'),
	('Asia/Seoul', 5, '09:00', NULL, NULL, '2024-06-05 09:00:01+09', 'a second past: now'),
	('Asia/Seoul', 1, '09:00', '22:00', '08:00', '2024-06-03 23:00+09', 'past, and quiet now: the next open window'),
	('Asia/Seoul', 5, '23:00', '22:00', '08:00', '2024-06-03 12:00+09', 'in quiet hours itself'),
	('America/New_York', 8, '02:30', NULL, NULL, '2026-03-01 00:00-05', 'in the gap'),
	('Asia/Seoul', 28, NULL, NULL, NULL, '2024-06-03 12:00+09', 'no time: midnight');
INSERT INTO cases (zone, quiet_from, quiet_to, spread, at, what) VALUES
	('Asia/Seoul', '22:00', '08:00', 600, '2024-06-03 23:00+09', 'spread after quiet hours'),
	('Asia/Seoul', '22:00', '08:00', 600, '2024-06-03 12:00+09', 'not spread outside');
SELECT what, (settle.due_at(CASE WHEN at > '2026-01-01' AND at < '2027-01-01' THEN date '2026-02-01' ELSE date '2024-05-01' END, zone, day, at_time, quiet_from, quiet_to, coalesce(spread, 0), at)
	AT TIME ZONE coalesce(nullif(zone, 'Mars/Phobos'), 'UTC')) AS due_there,
	settle.due_at(CASE WHEN at > '2026-01-01' AND at < '2027-01-01' THEN date '2026-02-01' ELSE date '2024-05-01' END, zone, day, at_time, quiet_from, quiet_to, coalesce(spread, 0), at) - at AS waits
FROM cases ORDER BY n;
\echo never
SELECT settle.due_at('2024-05-01', 'Asia/Seoul', 5, '09:00', '22:00', '08:00', 0, 'infinity'), settle.due_at(NULL, 'Asia/Seoul', 5, '09:00', '22:00', '08:00', 0, now());
\echo the month after December
SELECT settle.due_at('2024-12-01', 'Asia/Seoul', 5, '09:00', NULL, NULL, 0, '2025-01-01 00:00+09');
\echo never before the moment asked about, never in quiet hours, in every zone and around every change of 2026
SELECT count(*) > 50000 AS asked, count(*) FILTER (WHERE due < at) AS early, count(*) FILTER (WHERE (due AT TIME ZONE name)::time >= '22:00' OR (due AT TIME ZONE name)::time < '08:00') AS quiet,
	count(*) FILTER (WHERE due - at > interval '11 hours') AS late
FROM (SELECT name, at, settle.due_at('2026-01-01', name, NULL, NULL, '22:00', '08:00', 0, at) AS due
	FROM pg_timezone_names, generate_series(timestamptz '2026-01-01', '2026-12-31', '53 hours 17 minutes') AS at WHERE name ~ '^(Europe|America|Asia|Australia|Pacific)/') AS s;
