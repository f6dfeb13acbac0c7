-- Design §3: settle_quote() prices one charge exactly and unrounded by the code that settles; a key it does not know or
-- cannot use is an error, never a price of 0. (Published price examples: test/t/vectors_run.py.)
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_quote WITH (FORCE);
CREATE DATABASE settle_quote;
\c settle_quote
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
\pset format unaligned
\pset tuples_only on

-- every model, at its edges
SELECT q, settle_quote('{"model":"per_unit","unit_amount":"0.123456789012"}', q) FROM unnest(ARRAY[0, 1, 3, 1000000]) AS q;
SELECT q, settle_quote('{"model":"graduated","tiers":[{"up_to":5,"unit_amount":7},{"up_to":10,"unit_amount":6.5},{"unit_amount":6}]}', q)
FROM unnest(ARRAY[0, 1, 5, 6, 10, 11, 25]) AS q;
SELECT q, settle_quote('{"model":"volume","tiers":[{"up_to":100,"unit_amount":2,"flat_amount":10},{"up_to":200,"unit_amount":1},{"up_to":null,"unit_amount":"0.5","flat_amount":50}]}', q)
FROM unnest(ARRAY[0, 1, 100, 101, 200, 201]) AS q;
SELECT q, settle_quote('{"model":"package","unit_amount":5,"package_size":100}', q),
	settle_quote('{"model":"package","unit_amount":5,"package_size":100,"package_round":"down"}', q)
FROM unnest(ARRAY[0, 1, 99, 100, 101]) AS q;
SELECT settle_quote('{"model":"unlimited"}', 9223372036854775807);

-- allowance first, flat amounts of tiers entered, zero_flat, calls, floor and cap
SELECT q, settle_quote('{"model":"per_unit","unit_amount":1,"included":10}', q) FROM unnest(ARRAY[0, 9, 10, 11]) AS q;
SELECT q, settle_quote('{"model":"graduated","included":2,"tiers":[{"up_to":5,"flat_amount":100},{"flat_amount":7,"unit_amount":1}]}', q)
FROM unnest(ARRAY[0, 2, 3, 7, 8]) AS q;
SELECT zero, settle_quote(format('{"model":"volume","zero_flat":%s,"tiers":[{"flat_amount":3}]}', to_json(zero))::jsonb, 0) FROM unnest(ARRAY[true, false]) AS zero;
SELECT n, settle_quote('{"model":"per_unit","unit_amount":0.01,"event_amount":"0.15"}', 3, n) FROM unnest(ARRAY[0, 1, 2]) AS n;
SELECT q, settle_quote('{"model":"per_unit","unit_amount":1,"minimum":"2.5","maximum":4}', q) FROM generate_series(0, 6) AS q;
SELECT settle_quote('{"model":"per_unit","unit_amount":1}', NULL) IS NULL;

-- monotone and continuous: one more unit costs the marginal price; one tier: volume = graduated
SELECT bool_and(step IN (0.07, 0.05, 0.013)), min(step), max(step)
FROM (SELECT settle_quote(charge, q + 1) - settle_quote(charge, q) AS step
	FROM (VALUES ('{"model":"graduated","tiers":[{"up_to":100,"unit_amount":0.07},{"up_to":250,"unit_amount":0.05},{"unit_amount":0.013}]}'::jsonb)) AS c (charge),
		generate_series(0, 999) AS q) AS steps;
SELECT bool_and(settle_quote(jsonb_build_object('model', 'volume', 'tiers', tiers), q) = settle_quote(jsonb_build_object('model', 'graduated', 'tiers', tiers), q))
FROM (VALUES ('[{"unit_amount":0.123,"flat_amount":3}]'::jsonb)) AS c (tiers), generate_series(0, 500, 7) AS q;

-- what is wrong is named
CREATE FUNCTION try(charge text, quantity bigint DEFAULT 1, rows bigint DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	RETURN settle_quote(charge::jsonb, quantity, rows)::text;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', sqlstate || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT charge, try(charge) FROM unnest(ARRAY[
	'{}', '[]', '3', 'null', '{"model":"free"}', '{"model":1}', '{"model":null}', '{"model":"per_unit","price":1}',
	'{"model":"per_unit","Unit_amount":1}',
	'{"model":"per_unit","unit_amount":true}', '{"model":"per_unit","unit_amount":"1,5"}', '{"model":"per_unit","unit_amount":""}',
	'{"model":"per_unit","unit_amount":"NaN"}', '{"model":"per_unit","unit_amount":"Infinity"}', '{"model":"per_unit","unit_amount":null}',
	'{"model":"per_unit","unit_amount":"1e3"}', '{"model":"per_unit","unit_amount":0.1234567890123}', '{"model":"per_unit","unit_amount":-1}',
	'{"model":"per_unit","unit_amount":1e40}', '{"model":"per_unit","unit_amount":1,"event_amount":-1}',
	'{"model":"per_unit","unit_amount":1,"included":-1}', '{"model":"per_unit","unit_amount":1,"included":1.5}',
	'{"model":"per_unit","unit_amount":1,"included":"9223372036854775808"}',
	'{"model":"per_unit","unit_amount":1,"minimum":5,"maximum":4}', '{"model":"per_unit","unit_amount":1,"zero_flat":"yes"}',
	'{"model":"package","unit_amount":5}', '{"model":"package","unit_amount":5,"package_size":0}',
	'{"model":"package","unit_amount":5,"package_size":-3}', '{"model":"package","unit_amount":5,"package_size":1,"package_round":"Up"}',
	'{"model":"graduated"}', '{"model":"graduated","tiers":[]}', '{"model":"graduated","tiers":{}}', '{"model":"graduated","tiers":"x"}',
	'{"model":"graduated","tiers":[1]}', '{"model":"graduated","tiers":[[]]}', '{"model":"graduated","tiers":[{"up_to":5}]}',
	'{"model":"graduated","tiers":[{"up_to":5},{"up_to":5},{}]}', '{"model":"graduated","tiers":[{"up_to":5},{"up_to":4},{}]}',
	'{"model":"graduated","tiers":[{},{"up_to":5}]}', '{"model":"graduated","tiers":[{"up_to":0},{}]}',
	'{"model":"graduated","tiers":[{"up_to":-5},{}]}', '{"model":"graduated","tiers":[{"up_to":5.5},{}]}',
	'{"model":"graduated","tiers":[{"unit_amount":-1}]}', '{"model":"graduated","tiers":[{"upto":5},{}]}',
	'{"model":"unlimited","tiers":[{"up_to":5}]}']) AS charge;
SELECT try('{"model":"per_unit","unit_amount":1}', -1);
SELECT try('{"model":"per_unit","unit_amount":1}', 1, -1);
SELECT try('{"model":"per_unit","unit_amount":1000000}', 9223372036854775807);
SELECT try('{"model":"per_unit","unit_amount":1000000000000000000000000}', 9223372036854775807);
SELECT try('{"model":"package","unit_amount":1,"package_size":9223372036854775807}', 9223372036854775807);
SELECT try('{"model":"per_unit","unit_amount":1,"event_amount":1e15}', 1, 9223372036854775807);
\c contrib_regression
DROP DATABASE settle_quote WITH (FORCE);
