#!/usr/bin/env python3
"""Design §6: the output plugin sends the rows of the outbox and nothing else, whole and in order, in frames.

Frames are decoded here by a second reader, written from the description in src/common/frame.h. What it finds is compared
with the outbox: every committed row once, in the order of commits and of the rows in them, byte for byte; nothing of a
transaction that was rolled back, of other tables, of updates and deletes, or of rows that the engine hides.
"""

import re
import struct
import sys
from collections import namedtuple

from server import Server, SqlError, Tests

Frame = namedtuple("Frame", "last xid commit_lsn end_lsn commit_time first rows size")
HEADER = struct.Struct("<BBHIQQqQII")
ROW = struct.Struct("<IiqHHHH")


def decode(data):
    version, flags, zero, xid, commit_lsn, end_lsn, commit_time, first, count, size = HEADER.unpack_from(data)
    assert (version, zero, flags & ~1, size) == (1, 0, 0, len(data) - HEADER.size), "header"
    rows, at = [], HEADER.size
    for _ in range(count):
        length, period, created_at, type_len, id_len, key_len, zero = ROW.unpack_from(data, at)
        assert zero == 0
        texts, start = [], at + ROW.size
        for part in (type_len, id_len, key_len, length + 4 - ROW.size - type_len - id_len - key_len):
            texts.append(data[start:start + part].decode())
            start += part
        rows.append((period, created_at, *texts))
        at += length + 4
    assert at == len(data), "rows do not fill the frame"
    return Frame(flags & 1, xid, commit_lsn, end_lsn, commit_time, first, rows, len(data))


class Plugin:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("plugin", output_plugin_libraries="'pgoutput, test_decoding, settle'")
        self.server.create_settled("month", 4)
        self.server.generate("month", 3000, "2024-05")
        self.slot = "settle_relay"

    def sql(self, query):
        return self.server.sql(query, "month")

    def attempt(self, query):
        try:
            return self.sql(query)
        except SqlError as error:
            return str(error)

    def frames(self):
        output = self.sql(f"SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('{self.slot}', NULL, NULL)")
        return [decode(bytes.fromhex(line)) for line in output.splitlines()]

    def outbox(self, where):
        """Rows as frames give them, in hex because payloads may hold anything."""
        output = self.sql("SELECT encode(convert_to(concat_ws('|', period - '2000-01-01', extract(epoch FROM created_at"
                          " - '2000-01-01 UTC'::timestamptz) * 1000000, event_type, event_id, coalesce(account_id::text, ''),"
                          f" payload), 'UTF8'), 'hex') FROM settle.outbox WHERE {where} ORDER BY tableoid, ctid")
        rows = []
        for line in output.splitlines():
            period, created, kind, event, key, payload = bytes.fromhex(line).decode().split("|", 5)
            rows.append((int(period), int(float(created)), kind, event, key, payload))
        return rows

    def check_shape(self, name, frames):
        """What holds of any stream: positions rise, a transaction's frames count on, only its last one says so."""
        position, open_xid = (0, 0), None
        for frame in frames:
            begins = (frame.commit_lsn, frame.first)
            self.tests.check(begins > position or position == (0, 0), f"{name}: positions rise", (position, begins))
            if open_xid is None:
                self.tests.equal(frame.first, 0, f"{name}: a transaction begins with row 0")
            else:
                self.tests.equal((frame.xid, frame.commit_lsn, frame.first), (open_xid, position[0], position[1] + 1),
                                 f"{name}: a transaction's frames count on")
            position = (frame.commit_lsn, frame.first + len(frame.rows) - 1)
            self.tests.check(frame.end_lsn > frame.commit_lsn, f"{name}: the end lies behind the commit")
            self.tests.check(frame.size <= 65536 or len(frame.rows) == 1, f"{name}: a frame has at most 64 kB", frame.size)
            open_xid = None if frame.last else frame.xid
        self.tests.equal(open_xid, None, f"{name}: the last frame ends its transaction")

    # ---- scenarios ------------------------------------------------------------------------------------------------

    def test_1_setup(self):
        name = "settle_relay_setup"
        seen = self.attempt("BEGIN; CREATE TABLE written (); SELECT settle_relay_setup(); COMMIT;")
        self.tests.check("25001" in seen or "55000" in seen, f"{name}: not in a transaction that has written", seen)
        self.tests.check(re.match(r"^[0-9A-F]+/[0-9A-F]+$", self.attempt(
            "SELECT settle_relay_setup(command_id => '00000000-0000-0000-0000-000000000001')")), f"{name}: makes the slot")
        again = self.attempt("SELECT settle_relay_setup(command_id => '00000000-0000-0000-0000-000000000001')")
        self.tests.check("/" in again and "ERROR" not in again, f"{name}: a repeat gets the first answer", again)
        self.tests.check("42710" in self.attempt("SELECT settle_relay_setup()"), f"{name}: a second one is refused")
        self.tests.equal(self.sql("SELECT plugin FROM pg_replication_slots"), "settle", f"{name}: with the plugin")

    def test_2_a_month(self):
        name = "a settled month"
        self.sql("SELECT settle_run('2024-05', chunk_size => 500, workers => 2)")
        frames = self.frames()
        self.check_shape(name, frames)
        rows = [row for frame in frames for row in frame.rows]
        self.tests.equal(sorted(rows), sorted(self.outbox("true")), f"{name}: every row of the outbox, byte for byte")
        self.tests.check(len(rows) > 2500, f"{name}: there are rows", len(rows))
        self.tests.check(all(row[4] == "" for row in rows if row[2].startswith("run.")), f"{name}: events of runs have no key")

    def test_3_what_is_not_sent(self):
        name = "other changes"
        event = "INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', '{}', '{{}}')"
        self.sql(f"""CREATE TABLE other (note text); CREATE TABLE outbox (note text); INSERT INTO other VALUES ('x');
            BEGIN; {event.format('rolled back')}; ROLLBACK;
            BEGIN; SAVEPOINT a; {event.format('rolled back too')}; ROLLBACK TO a; {event.format('kept')};
            INSERT INTO outbox VALUES ('not ours'); SAVEPOINT b; {event.format('kept in a subtransaction')}; RELEASE b; COMMIT;
            UPDATE settle.outbox SET payload = 'changed' WHERE event_id = 'kept'; DELETE FROM settle.outbox WHERE event_id LIKE 'kept%';
            TRUNCATE other; INSERT INTO other SELECT 'y' FROM generate_series(1, 5000);""")
        frames = self.frames()
        self.check_shape(name, frames)
        self.tests.equal([row[3] for frame in frames for row in frame.rows], ["kept", "kept in a subtransaction"], name)

    def test_4_large_rows(self):
        """Payloads of 0 bytes, around the frame's size, compressed by TOAST and out of line."""
        name = "large rows"
        sizes = [0, 1, 2000, 65000, 65400, 65536, 200000, 3, 1000000]
        self.sql("BEGIN; " + " ".join(
            f"INSERT INTO settle.outbox VALUES ({i}, now(), '2024-05-01', 't', 'large/{i}', (SELECT coalesce(string_agg("
            f"chr(33 + (i % 9973 * 7919 + {i}) % 90), ''), '') FROM generate_series(1, {size}) AS i));"
            for i, size in enumerate(sizes)) + " COMMIT;")
        frames = self.frames()
        self.check_shape(name, frames)
        rows = [row for frame in frames for row in frame.rows]
        self.tests.equal([len(row[5]) for row in rows], sizes, f"{name}: in order and whole")
        self.tests.equal(rows, self.outbox("event_id LIKE 'large/%'"), f"{name}: byte for byte")

    def test_5_interleaved(self):
        """Rows in the order of commits, whatever the order of writes."""
        name = "interleaved transactions"
        insert = "INSERT INTO settle.outbox VALUES ({}, now(), '2024-05-01', 't', '{}', '{{}}');"
        first = self.server.begin(f"BEGIN; {insert.format(1, 'begun first')} SELECT pg_sleep(1); COMMIT;", "month")
        self.sql("SELECT pg_sleep(0.4); " + insert.format(2, "committed first"))
        first.communicate()
        frames = self.frames()
        self.check_shape(name, frames)
        self.tests.equal([row[3] for frame in frames for row in frame.rows], ["committed first", "begun first"], name)

    def test_6_changed_table(self):
        name = "a changed outbox"
        row = "INSERT INTO settle.outbox (account_id, created_at, period, event_type, event_id, payload) VALUES (1, now(), '{}', 't', '{}', 'p');"
        self.sql(row.format("2024-05-01", "before") + " ALTER TABLE settle.outbox ADD COLUMN mine text DEFAULT 'x';"
                 + row.format("2024-05-01", "with a column") + " ALTER TABLE settle.outbox DROP COLUMN mine;"
                 + " SELECT settle_open_period('2024-06');" + row.format("2024-06-01", "new partition"))
        frames = self.frames()
        self.check_shape(name, frames)
        self.tests.equal([row[3] for frame in frames for row in frame.rows], ["before", "with a column", "new partition"], name)
        seen = self.attempt(f"SELECT count(*) FROM pg_logical_slot_get_binary_changes('{self.slot}', NULL, NULL, 'x', 'y')")
        self.tests.check("22023" in seen, f"{name}: options are refused", seen)

    def run(self):
        try:
            for name in sorted(name for name in dir(self) if name.startswith("test_")):
                getattr(self, name)()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Plugin().run())
