"""Rows of the fault matrix (relay_faults.py) on PostgreSQL's side: server, slot, network, outbox, password."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from relaying import SLOT
from server import Server

ROW = "INSERT INTO settle.outbox%s VALUES (%d, now(), '2024-05-01', 'bill.settled.v1', '%s', '{\"period\": \"2024-05\", \"moment\": %d}'%s);"


class Standby(Server):
    """A physical copy of a server that follows it, in a directory of its own."""

    def __init__(self, of):
        self.server_environment = {}
        self.directory = tempfile.mkdtemp(prefix="settle-standby-")
        self.data, self.log = os.path.join(self.directory, "data"), os.path.join(self.directory, "log")
        self.as_user = of.as_user
        if self.as_user:
            shutil.chown(self.directory, "postgres", "postgres")
        self.environment = {**of.environment}
        self.run(["pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast"], as_server=True)
        self.environment["PGHOST"] = self.directory
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write(f"unix_socket_directories = '{self.directory}'\nhot_standby_feedback = on\n")
        self.start()


class PostgresFaults:
    def database_restarts(self):
        relay = self.start()
        for how in (signal.SIGQUIT, signal.SIGINT):
            writer = self.begin_writing(transactions=1000)
            self.wait_streaming(self.name, relay)
            time.sleep(self.random.uniform(0.1, 0.5))
            took = self.server.stop(how)
            self.tests.check(took < 5, f"{self.name}: the server does not wait for the relay", took)
            writer.wait(30)
            self.server.start()
        self.server.wait_ready()
        self.write()
        self.finish_well(self.name, relay)

    def database_stops_without_kafka(self):
        """What Kafka has not got is not acknowledged, and still the server must be able to stop."""
        relay = self.start(**self.through_kafka_proxy())
        self.wait_streaming(self.name, relay)
        self.write()
        self.wait_all_told(self.name, relay)
        self.to_kafka.silence()
        self.write()
        took = self.server.stop(signal.SIGINT)
        self.tests.check(took < 5, f"{self.name}: the server stops within seconds", took)
        self.server.start()
        self.to_kafka.speak()
        self.write()
        self.finish_well(self.name, relay)

    def database_stops_idle(self):
        """What the stop takes without a relay is the machine's."""
        alone = self.stop_after_noise()
        relay = self.start()
        self.write()
        self.wait_all_told(self.name, relay)
        took = self.stop_after_noise()
        print(f"# a fast stop took {took:.2f} s, without a relay {alone:.2f} s", flush=True)
        self.tests.check(took < 2 + alone, f"{self.name}: it stops at once", (took, alone))
        self.write()
        self.finish_well(self.name, relay)

    def stop_after_noise(self):
        self.sql("CREATE TABLE noise AS SELECT repeat(i::text, 100) AS filler FROM generate_series(1, 50000) AS i; DROP TABLE noise")
        took = self.server.stop(signal.SIGINT)
        self.server.start()
        return took

    def walsender_terminated(self):
        relay = self.start()
        writer = self.begin_writing(transactions=150)
        for _ in range(4):
            self.wait_streaming(self.name, relay)
            time.sleep(self.random.uniform(0, 0.3))
            self.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
        self.written(writer)
        self.finish_well(self.name, relay)

    def network_to_postgres(self):
        relay = self.start(postgres_silence_ms="2000", **self.through_postgres_proxy())
        self.wait_until(f"{self.name}: ready", lambda: self.is_ready(relay), relay=relay)
        self.to_postgres.silence()
        accepted = self.to_postgres.accepted
        self.write()
        self.wait_until(f"{self.name}: silent: not ready", lambda: not self.is_ready(relay), 10, relay)
        self.wait_until(f"{self.name}: silent: it connects again", lambda: self.to_postgres.accepted > accepted, 10, relay)
        self.tests.equal(self.ask(relay, "healthz")[0], 200, f"{self.name}: silent: its web server answers")
        connecting = self.start(**self.through_postgres_proxy())
        time.sleep(0.5)
        began = time.monotonic()
        self.tests.equal(self.end(connecting), 0, f"{self.name}: SIGTERM while it connects")
        self.tests.check(time.monotonic() - began < 3, f"{self.name}: SIGTERM ends it at once", time.monotonic() - began)
        self.to_postgres.speak()
        self.wait_all_told(f"{self.name}, silent", relay)
        for _ in range(3):
            writer = self.begin_writing(transactions=20)
            time.sleep(self.random.uniform(0, 0.3))
            self.to_postgres.cut()
            self.written(writer)
        self.wait_all_told(f"{self.name}, cut", relay)
        self.to_postgres.refuse()
        self.write()
        time.sleep(1)
        self.tests.equal(self.is_ready(relay), False, f"{self.name}: refused: not ready")
        self.to_postgres.refuse(False)
        self.finish_well(self.name, relay)

    # ---- the slot -------------------------------------------------------------------------------------------------

    def drop_slot(self):
        self.sampler.watch(None)
        self.sql(f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active; SELECT pg_drop_replication_slot('{SLOT}')")

    def slot_dropped(self):
        self.write()
        self.drain(self.name)
        self.check_exactly_once(self.name)
        self.drop_slot()
        self.refuses(self.name, 4, "settle_relay_setup")
        self.tests.equal(self.slot("count(*)"), "0", f"{self.name}: no slot was made")

    def slot_invalidated(self):
        self.write()
        self.drain(self.name)
        self.sampler.watch(None)
        self.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        self.sql("SELECT pg_reload_conf()")
        try:
            for _ in range(3):
                self.write(transactions=2)
                self.sql("SELECT pg_switch_wal()")
            self.sql("CHECKPOINT")
            self.wait_until(f"{self.name}: the slot is lost", lambda: self.slot("wal_status") == "lost")
            self.refuses(self.name, 4, "is lost")
        finally:
            self.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
            self.sql("SELECT pg_reload_conf()")

    def slot_made_anew(self):
        """Between the two slots events may have been written that nobody has read."""
        relay = self.start()
        self.write()
        self.wait_all_told(self.name, relay)
        relay.send_signal(signal.SIGSTOP)
        self.drop_slot()
        self.write(transactions=2)
        self.sql("SELECT settle_relay_setup()")
        relay.send_signal(signal.SIGCONT)
        self.tests.equal(self.wait_exit(relay), 5, f"{self.name}: exit status 5 of the one that ran")
        self.refuses(self.name, 5, "made anew")

    def plugin_not_allowed(self):
        self.write()
        self.sql("ALTER SYSTEM SET output_plugin_libraries = 'pgoutput'")
        self.sql("SELECT pg_reload_conf()")
        try:
            time.sleep(0.2)
            self.refuses(self.name, 3, "output_plugin_libraries")
        finally:
            self.sql("ALTER SYSTEM RESET output_plugin_libraries")
            self.sql("SELECT pg_reload_conf()")
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def promotion(self):
        old_slot = os.path.join(self.server.directory, "old_slot")
        shutil.copytree(os.path.join(self.server.data, "pg_replslot", SLOT), old_slot)
        lagging, standby = Standby(self.server), Standby(self.server)
        try:
            self.new_slot()  # one that needs no WAL from before the copies
            self.write()
            self.drain(self.name)
            self.promote_all(lagging, standby)
            self.copy_slot(lagging, old_slot)
            self.refuses(f"{self.name}, a slot whose WAL is not there", 4, "of no use", topic_position=f"{self.name}.none", **self.at(lagging))
        finally:
            lagging.remove()
            standby.remove()

    def copy_slot(self, to, source=None):
        """A logical slot's file, taken over while the standby is down: what tools for failover do before version 17."""
        to.stop(signal.SIGINT)
        place = os.path.join(to.data, "pg_replslot", SLOT)
        shutil.copytree(source or os.path.join(self.server.data, "pg_replslot", SLOT), place)
        if to.as_user:
            for path in (place, os.path.join(place, "state")):
                shutil.chown(path, "postgres", "postgres")
        to.start()

    def wait_replayed(self, standby):
        end = self.sql("SELECT pg_current_wal_lsn()")
        self.wait_until(f"{self.name}: the standby has it", lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t")

    def at(self, server):
        return {"postgres_conninfo": f"host={server.directory} port=5432 user=postgres dbname=month"}

    def promote_all(self, lagging, standby):
        self.sampler.watch(None)
        for one in (lagging, standby):
            self.wait_replayed(one)
        self.copy_slot(lagging)
        self.wait_replayed(lagging)
        lagging.stop(signal.SIGINT)
        # the copy of the slot is behind: what the relay brings to Kafka now comes again after the promotion
        self.copy_slot(standby)
        self.write()
        self.drain(self.name)
        self.wait_replayed(standby)
        # one that has never seen what is in Kafka
        with open(os.path.join(lagging.data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
            file.write("primary_conninfo = ''\n")
        lagging.start()
        lagging.start("promote")
        self.refuses(f"{self.name}, WAL is missing", 5, "lacks WAL", **self.at(lagging))

        standby.start("promote")
        standby.sql(ROW % ("", 42, "after the promotion", 1, ""), "month")
        self.gone = set(standby.sql("SELECT event_id FROM settle.outbox", "month").splitlines())
        self.drain(f"{self.name}, a copied slot", **self.at(standby))
        self.check_exactly_once(f"{self.name}, a copied slot")
        self.refuses(f"{self.name}, another branch of the same number", 5, "WAL ends at", **self.at(lagging))
        lagging.sql(f"SELECT pg_drop_replication_slot('{SLOT}')", "month")
        self.refuses(f"{self.name}, no slot", 4, "settle_relay_setup", **self.at(lagging))

    def promotion_while_running(self):
        """A relay that stays up must hold the promoted server against its position, as one that starts does."""
        primary, lagging, standby = self.server, Standby(self.server), Standby(self.server)
        try:
            self.new_slot()
            self.sampler.watch(None)
            for one in (lagging, standby):
                self.wait_replayed(one)
                self.copy_slot(one)
                self.wait_replayed(one)
            self.lose_to(lagging)
            primary.start()
            self.promote_under_relay(standby)
        finally:
            self.server = primary
            lagging.remove()
            standby.remove()
            if primary.postmaster() is None:
                primary.start()

    def either(self, other):
        return {"postgres_conninfo": f"host={self.server.directory},{other.directory} port=5432,5432 user=postgres dbname=month"
                                     " target_session_attrs=read-write"}

    def lose_to(self, lagging):
        """It has not seen what the relay, in its first life, brings to Kafka, and then writes more than that."""
        lagging.stop(signal.SIGINT)
        relay = self.start(**self.either(lagging))
        self.write()
        self.wait_all_told(self.name, relay)
        self.server.stop(signal.SIGINT)
        with open(os.path.join(lagging.data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
            file.write("primary_conninfo = ''\n")
        lagging.start()
        lagging.start("promote")
        lagging.sql("".join(ROW % ("", 42, f"another history {row}", row, "") for row in range(3000)), "month")
        self.tests.equal(self.wait_exit(relay), 5, f"{self.name}: a server that lacks what was sent is refused")
        self.tests.check("lacks WAL" in self.log_of(relay), f"{self.name}: and the relay says why", self.log_of(relay)[-500:])

    def promote_under_relay(self, standby):
        hosts = self.either(standby)
        relay = self.start(**hosts)
        self.write()
        self.wait_all_told(self.name, relay)
        self.wait_replayed(standby)
        self.server.stop(signal.SIGQUIT)
        standby.start("promote")
        self.server = standby
        self.write()
        self.finish_well(self.name, relay)
        self.write()
        self.drain(f"{self.name}, started again", **hosts)
        self.check_exactly_once(f"{self.name}, started again")

    # ---- the outbox -----------------------------------------------------------------------------------------------

    def interleaved(self):
        """Rounds of two sessions that write to one account: whoever commits first comes first, whenever it wrote."""
        relay = self.start()
        sessions = [subprocess.Popen(self.server.psql("month") + ["-q"], env=self.server.environment, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]

        def say(session, text):
            session.stdin.write(text + "\n\\echo done\n")
            session.stdin.flush()
            answer = session.stdout.readline().strip()
            self.tests.equal(answer, "done", f"{self.name}: {text[:40]}")

        moment = 0
        for turn in range(20):
            order = self.random.sample(sessions, 2)
            for index, session in enumerate(self.random.sample(sessions, 2)):
                say(session, "BEGIN; SAVEPOINT a; " + ROW % ("", 42, f"lost {turn}/{index}", 0, "") + " ROLLBACK TO a; "
                    + ROW % ("", 42, f"i{turn}/{index}", moment + order.index(session), ""))
            for session in order:
                say(session, "COMMIT;")
            moment += 2
        for session in sessions:
            session.communicate()
        self.overlap()
        self.finish_well(self.name, relay)

    def overlap(self):
        writers = [self.begin_writing(transactions=30) for _ in range(4)]
        for writer in writers:
            self.written(writer)

    def ddl(self):
        relay = self.start()
        self.wait_streaming(self.name, relay)
        row = 0

        def event(columns="", more="", table="settle.outbox"):
            nonlocal row
            row += 1
            return (ROW % (columns, 42, f"d{row}", row, more)).replace("settle.outbox", table)

        own = "(account_id, created_at, period, event_type, event_id, payload%s)"
        self.sql(event() + "ALTER TABLE settle.outbox ADD COLUMN extra int DEFAULT 5;" + event(own % ", extra", ", 6") + event(own % ""))
        self.sql("BEGIN; ALTER TABLE settle.outbox ADD COLUMN first text; " + event(own % "") + " ALTER TABLE settle.outbox DROP COLUMN extra; "
                 + event(own % "") + " COMMIT")
        self.sql("ALTER TABLE settle.outbox DROP COLUMN first;" + event())
        self.sql("ALTER TABLE settle.outbox RENAME payload TO data; ALTER TABLE settle.outbox RENAME data TO payload;" + event())
        # a partition of another shape, attached, detached and attached again
        self.sql("CREATE TABLE outbox_apart (gone int, payload text NOT NULL, event_id text NOT NULL, event_type text NOT NULL,"
                 " period settle.period NOT NULL, created_at timestamptz NOT NULL, account_id bigint);"
                 "ALTER TABLE outbox_apart DROP COLUMN gone")
        attach = "ALTER TABLE settle.outbox ATTACH PARTITION outbox_apart FOR VALUES IN ('2031-01-01');"
        apart = [event(own % "", table=table).replace("2024-05-01", "2031-01-01") for table in ("outbox_apart", "settle.outbox", "outbox_apart")]
        never = apart[0].replace("'d", "'never ")
        self.sql(f"{never} TRUNCATE outbox_apart; {attach} {apart[0]} {apart[1]} ALTER TABLE settle.outbox DETACH PARTITION outbox_apart;"
                 f"{never} DELETE FROM outbox_apart WHERE event_id LIKE 'never%'; {attach} {apart[2]}")
        self.finish_well(self.name, relay)
        self.sql("DROP TABLE outbox_apart")
        self.missing_column()

    def missing_column(self):
        """An event that was written while a column had another name cannot be read, then or later: it is not passed over."""
        relay = self.start()
        self.wait_streaming(self.name, relay)
        self.wait_all_told(self.name, relay)
        self.sampler.watch(None)
        told = self.slot("confirmed_flush_lsn")
        self.sql("ALTER TABLE settle.outbox RENAME payload TO data;" + ROW % ("", 42, "unreadable", 99, "")
                 + "ALTER TABLE settle.outbox RENAME data TO payload;" + ROW % ("", 42, "after it", 100, ""))
        self.wait_until(f"{self.name}: the column is named", lambda: "no column payload" in self.log_of(relay), 30, relay)
        time.sleep(1)
        self.tests.equal(self.slot("confirmed_flush_lsn"), told, f"{self.name}: nothing is acknowledged")
        self.tests.equal(self.is_ready(relay), False, f"{self.name}: not ready")
        self.tests.equal(self.end(relay), 0, f"{self.name}: SIGTERM ends it well")

    def not_inserts(self):
        relay = self.start()
        self.write(transactions=4)
        self.wait_all_told(self.name, relay)
        self.gone = self.committed()
        self.sql("CREATE TABLE settle.outbox_2031 PARTITION OF settle.outbox FOR VALUES IN ('2031-01-01')")
        self.sql((ROW % ("", 42, "of a month that is dropped", 1, "")).replace("2024-05-01", "2031-01-01"))
        self.gone.add("of a month that is dropped")
        self.sql("UPDATE settle.outbox SET payload = '{}'; UPDATE settle.outbox SET event_id = 'changed ' || event_id")
        self.sql("DELETE FROM settle.outbox WHERE random() < 0.5")
        self.sql("DROP TABLE settle.outbox_2031; TRUNCATE settle.outbox")
        self.sql("BEGIN; " + ROW % ("", 42, "inserted and deleted", 2, "") + " DELETE FROM settle.outbox; COMMIT")
        self.gone.add("inserted and deleted")
        self.write(transactions=4)
        self.finish_well(self.name, relay)

    def foreign_traffic(self):
        """A database that writes much, and no events: the slot follows, so that WAL does not pile up."""
        relay = self.start()
        self.sql("CREATE TABLE noise (filler text)")
        for _ in range(3):
            self.sql("INSERT INTO noise SELECT repeat(i::text, 200) FROM generate_series(1, 40000) AS i")
            self.sql("SELECT txid_current()", "postgres")
        self.wait_all_told(self.name, relay, 30, mark="")
        self.tests.check(self.is_ready(relay), f"{self.name}: ready")
        self.sql("CHECKPOINT")
        kept = int(self.slot("pg_current_wal_lsn() - restart_lsn").split(".")[0])
        self.tests.check(kept < 2**26, f"{self.name}: WAL does not pile up", kept)
        self.sql("DROP TABLE noise")
        self.write(transactions=2)
        self.finish_well(self.name, relay)

    # ---- what is sent ---------------------------------------------------------------------------------------------

    def damaged_frames(self):
        """A byte of a frame's header is changed on its way; what cannot be read is asked for again."""
        relay = self.start(**self.through_postgres_proxy())
        self.wait_streaming(self.name, relay)
        damaged = 0

        def damage(data):
            nonlocal damaged
            # CopyData 'd', its length, then 'w' and 24 bytes of positions and time; the frame begins with its version
            at = 0
            while at + 30 < len(data) and damaged < 3:
                if data[at:at + 1] == b"d" and data[at + 5:at + 6] == b"w" and data[at + 30] == 1:
                    damaged += 1
                    return data[:at + 30] + b"\x7f" + data[at + 31:]
                at += 1 + int.from_bytes(data[at + 1:at + 5], "big")
            return data

        self.to_postgres.damage = damage
        self.write()
        self.wait_until(f"{self.name}: frames were damaged", lambda: damaged == 3, relay=relay)
        self.to_postgres.damage = None
        self.tests.check("cannot be read" in self.log_of(relay), f"{self.name}: the reason is told")
        self.write()
        self.finish_well(self.name, relay)

    def password_rotated(self):
        hba = os.path.join(self.server.data, "pg_hba.conf")
        with open(hba, encoding="utf-8") as file:
            before = file.read()
        passfile = os.path.join(self.server.directory, "passfile")

        def change(password):
            with open(passfile, "w", encoding="utf-8") as file:
                file.write(f"127.0.0.1:*:*:rotated:{password}\n")
            os.chmod(passfile, 0o600)
            self.sql(f"SET password_encryption = 'scram-sha-256'; ALTER ROLE rotated PASSWORD '{password}'")

        self.sql("CREATE ROLE rotated LOGIN REPLICATION")
        with open(hba, "w", encoding="utf-8") as file:
            file.write("local all rotated scram-sha-256\n" + before)
        self.sql("SELECT pg_reload_conf()")
        try:
            change("one")
            relay = self.start(postgres_conninfo=f"host=127.0.0.1 port={self.to_postgres.port} user=rotated dbname=month passfile={passfile}")
            self.wait_streaming(self.name, relay)
            self.write()
            change("two")
            self.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
            self.write()
            self.finish_well(self.name, relay)
            self.sql("ALTER ROLE rotated PASSWORD 'three'")
            self.refuses(self.name, 3, "authentication failed",
                         postgres_conninfo=f"host=127.0.0.1 port={self.to_postgres.port} user=rotated dbname=month passfile={passfile}")
        finally:
            with open(hba, "w", encoding="utf-8") as file:
                file.write(before)
            self.sql("SELECT pg_reload_conf()")
            self.sql("DROP ROLE rotated")
