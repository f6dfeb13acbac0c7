/* settle--1.0.sql: the SQL surface of settle, made by `make` from src/sql/ in reading order
 *
 *   01 types         04 usage         07 months (set-up, opening)    10 operating runs   13 doctor
 *   02 catalogue     05 runs          08 loading usage               11 views            14 relay
 *   03 accounts      06 results       09 settlement                  12 verify          15 dump and rights
 *
 * Tables, types, views and internal functions live in schema settle; what a person calls is settle_* in the schema
 * given to CREATE EXTENSION. Partitioned parents carry no index, key or partition here: settle_init() and
 * settle_open_period() create the leaves with their keys, because pg_dump cannot re-create partitions that are
 * members of an extension.
 */
\echo Use "CREATE EXTENSION settle" to load this file. \quit

CREATE SCHEMA settle;
COMMENT ON SCHEMA settle IS 'tables, types and views of settle: monthly rating and settlement';

