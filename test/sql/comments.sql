-- Holds to: "every object has a COMMENT" (DESIGN §1 Parts, row SQL). Each query lists offenders and expects none.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;

CREATE TEMP VIEW member AS
SELECT d.classid::regclass AS catalog, d.objid AS oid
FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE e.extname = 'settle' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';

-- The test would pass on an empty catalogue too.
SELECT bool_and(n > 0) AS found_all FROM (VALUES ('pg_class'::regclass), ('pg_proc'), ('pg_type'), ('pg_namespace')) AS c (catalog),
	LATERAL (SELECT count(*) AS n FROM member WHERE member.catalog = c.catalog) AS members;

-- Schema, tables, views, functions, aggregates, domains, enums. Sequences of identity columns, row types and array types
-- are described by what they belong to.
SELECT catalog, pg_describe_object(catalog, oid, 0) AS without_comment
FROM member
WHERE obj_description(oid, catalog::text::name) IS NULL
	AND NOT (catalog = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = member.oid AND c.relkind = 'S'))
	AND NOT (catalog = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type AS t WHERE t.oid = member.oid AND (t.typrelid <> 0 OR t.typelem <> 0)))
ORDER BY 1, 2;

-- Columns of tables and views.
SELECT a.attrelid::regclass AS relation, a.attname AS column_without_comment
FROM member JOIN pg_class AS c ON c.oid = member.oid AND member.catalog = 'pg_class'::regclass
	JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND col_description(a.attrelid, a.attnum) IS NULL
ORDER BY c.relname, a.attnum;

-- Indexes that are no constraint, with the query they serve.
SELECT i.indexrelid::regclass AS index_without_comment
FROM member JOIN pg_index AS i ON i.indrelid = member.oid AND member.catalog = 'pg_class'::regclass
WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
	AND obj_description(i.indexrelid, 'pg_class') IS NULL
ORDER BY 1;

-- What is internal lives in schema settle, what people call is settle_* (DESIGN §1 Names).
SELECT p.oid::regprocedure AS misplaced
FROM member JOIN pg_proc AS p ON p.oid = member.oid AND member.catalog = 'pg_proc'::regclass
WHERE (p.pronamespace = 'settle'::regnamespace) = (p.proname LIKE 'settle\_%')
ORDER BY 1;
SELECT c.oid::regclass AS misplaced
FROM member JOIN pg_class AS c ON c.oid = member.oid AND member.catalog = 'pg_class'::regclass
WHERE c.relnamespace <> 'settle'::regnamespace
ORDER BY 1;

-- Partitioned parents have no partition, key or index of their own before settle_init(): pg_dump could not restore them.
SELECT c.oid::regclass AS parent
FROM member JOIN pg_class AS c ON c.oid = member.oid AND member.catalog = 'pg_class'::regclass
WHERE c.relkind = 'p' AND (c.relhassubclass OR c.relhasindex)
ORDER BY 1;
