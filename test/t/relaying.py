"""What the tests of settle-relay share: the two servers, relay processes, and the comparison of Kafka with the outbox.

What is read back of the topics (read_committed) must be what was committed to the outbox: each event once, of one account
in the order of commits, nothing that was rolled back. And PostgreSQL must never have been told to forget more than the
stored position says: a thread samples the slot and the position topic all the time.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from kafka import Broker, BrokerError, free_ports
from server import REPOSITORY, Server, SqlError, Tests

NOTIFIER = os.path.join(REPOSITORY, "notifier")
RELAY = os.path.join(NOTIFIER, "settle-relay")
# with the address and undefined-behaviour sanitizers: what it finds, a leak too, is another exit status
SANITIZED_RELAY = os.path.join(NOTIFIER, "build", "sanitized", "settle-relay")
PLUGINS = "'pgoutput, test_decoding, settle'"
SLOT = "settle_relay"


def read_options(points):
    """POINTS: how many random moments. `scripts/test soak` sets it; from 100 on what is long is done as well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=int(os.environ.get("POINTS", points)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", random.randrange(2**31))))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.soak = options.points >= 100
    print(f"# seed {options.seed}, {options.points} points; set SEED to repeat it", flush=True)
    return options


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


class Sampler(threading.Thread):
    """The slot is looked at before the position topic, which only goes forward: so the slot must never be ahead."""

    def __init__(self, relaying):
        super().__init__(daemon=True)
        self.relaying = relaying
        self.over = threading.Event()
        self.samples = 0
        self.ahead = []
        self.lock = threading.Lock()
        self.began_at = None  # where the slot stood when it was made; None = it is not to be looked at

    def watch(self, began_at):
        with self.lock:
            self.began_at = began_at

    def run(self):
        while not self.over.wait(0.4):
            with self.lock:
                if self.began_at is not None:
                    try:
                        self.sample()
                    except (SqlError, BrokerError, ValueError):
                        pass  # a server is down just now

    def sample(self):
        told = self.relaying.slot("confirmed_flush_lsn")
        stored = self.relaying.stored_lsn()
        if stored == 0 and lsn(told) > self.began_at:
            time.sleep(2)  # a broker that has just started may show an empty topic for a moment
            stored = self.relaying.stored_lsn()
        if time.monotonic() - self.relaying.broker.started_at < 3:
            return
        self.samples += 1
        if told and lsn(told) > max(self.began_at, stored):
            self.ahead.append((told, stored))


class Relaying:
    prefix = "settle"  # of topics
    relay_program = RELAY
    partitions = 6

    def __init__(self, options):
        self.options = options
        self.tests = Tests()
        self.random = random.Random(options.seed)
        self.server = self.broker = None
        self.relays = []
        self.kills = {}
        self.put_aside = set()  # events that Kafka does not take
        self.gone = set()       # events that were committed, and are in the outbox no more
        self.sampler = Sampler(self)

    def build(self):
        sanitize = ["SANITIZE=1"] if self.relay_program == SANITIZED_RELAY else []
        subprocess.run(["make", "-s", "-C", NOTIFIER, *sanitize], check=True, stdin=subprocess.DEVNULL)

    def start_servers(self, broker=None, **settings):
        self.build()
        self.server = Server("relay", output_plugin_libraries=PLUGINS, **settings)
        self.broker = broker or self.broker or Broker()
        self.server.create_settled("month", 4)

    def remove_all(self):
        self.sampler.over.set()
        for relay in self.relays:
            if relay.poll() is None:
                relay.kill()
                relay.wait()
        for one in (self.broker, self.server):
            if one is not None:
                one.remove()

    def sql(self, query, database="month"):
        return self.server.sql(query, database)

    def slot(self, column):
        return self.sql(f"SELECT {column} FROM pg_replication_slots WHERE slot_name = '{SLOT}'")

    # ---- the relay ------------------------------------------------------------------------------------------------

    def settings(self):
        topics = {f"topic.{name}": f"{self.prefix}.{name}" for name in ("bills", "runs", "position", "dead_letter")}
        return {"postgres.conninfo": f"host={self.server.directory} port=5432 user=postgres dbname=month",
                "kafka.bootstrap.servers": self.broker.address, "transaction.events": "400",
                "topic.partitions": str(self.partitions), **topics}

    def start(self, once=False, preload=None, **settings):
        """A relay; relay_poison="stop" is the setting relay.poison."""
        port, = free_ports(1)
        wanted = {**self.settings(), "http.listen": f"127.0.0.1:{port}"}
        wanted.update((name.replace("_", ".", 1), value) for name, value in settings.items())
        command = [self.relay_program, *(word for pair in wanted.items() for word in (f"--{pair[0]}", str(pair[1])))]
        log = os.path.join(self.server.directory, f"relay-{len(self.relays)}.log")
        with open(log, "w", encoding="utf-8") as file:
            relay = subprocess.Popen(command + ["--once"] * once, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                     env={**os.environ, **(preload or {})})
        relay.port, relay.log = port, log
        self.relays.append(relay)
        return relay

    def end(self, relay, how=signal.SIGTERM, timeout=60):
        relay.send_signal(how)
        return self.wait_exit(relay, timeout)

    def wait_exit(self, relay, timeout=60):
        try:
            return relay.wait(timeout)
        except subprocess.TimeoutExpired:
            relay.kill()
            relay.wait()
            return f"no end within {timeout} s"

    def drain(self, name, **settings):
        """--once: to the end of what is there now."""
        relay = self.start(once=True, **settings)
        if not self.tests.equal(self.wait_exit(relay, 120), 0, f"{name}: --once ends well"):
            self.say_log(relay)
        return relay

    def refuses(self, name, status, words, **settings):
        """It ends by itself with this exit status, and its last words say why."""
        relay = self.start(once=True, **settings)
        seen = self.wait_exit(relay)
        if not self.tests.equal(seen, status, f"{name}: exit status {status}"):
            self.say_log(relay)
        self.tests.check(words in self.log_of(relay), f"{name}: the reason is told: {words}", self.log_of(relay)[-800:])

    def log_of(self, relay):
        with open(relay.log, encoding="utf-8") as log:
            return log.read()

    def say_log(self, relay):
        print("# " + "\n# ".join(self.log_of(relay).splitlines()[-15:]), flush=True)

    def ask(self, relay, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{relay.port}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, relay, name):
        found = re.search(rf"^settle_relay_{re.escape(name)} ([0-9.e+]+)$", self.ask(relay, "metrics")[1], re.M)
        return float(found[1]) if found else None

    def is_ready(self, relay):
        return self.ask(relay, "readyz")[0] == 200

    # ---- waiting --------------------------------------------------------------------------------------------------

    def wait_until(self, name, condition, timeout=60, relay=None):
        """A relay that was given is waited for no longer than it lives."""
        deadline, alive = time.monotonic() + timeout, True
        while time.monotonic() < deadline and alive:
            alive = relay is None or relay.poll() is None
            try:
                if condition():
                    return True
            except SqlError:
                pass  # the server is not there yet
            time.sleep(0.05)
        self.tests.check(False, f"{name}: did not come within {timeout} s" if alive else f"{name}: the relay has ended, {relay.poll()}")
        if relay is not None:
            self.say_log(relay)
        return False

    def wait_streaming(self, name, relay=None, timeout=60):
        return self.wait_until(f"{name}: a relay streams", lambda: self.slot("active") == "t", timeout, relay)

    def wait_all_told(self, name, relay=None, timeout=90, mark=""):
        """PostgreSQL has been told of everything up to now. What is not an event is told of every ten seconds only; so
        `mark` may write a last one."""
        end = self.sql(f"{mark}; SELECT pg_current_wal_lsn()")
        return self.wait_until(f"{name}: everything is brought to Kafka", lambda: self.slot(f"confirmed_flush_lsn >= '{end}'") == "t",
                               timeout, relay)

    def finish_well(self, name, relay):
        """A running relay brings everything, still runs, ends well by SIGTERM, and each event is there once."""
        self.wait_all_told(name, relay)
        self.tests.equal(relay.poll(), None, f"{name}: the relay still runs")
        if not self.tests.equal(self.end(relay), 0, f"{name}: SIGTERM ends it well"):
            self.say_log(relay)
        return self.check_exactly_once(name)

    # ---- what must hold -------------------------------------------------------------------------------------------

    def outbox(self):
        rows = self.sql("SELECT event_id, event_type, coalesce(account_id::text, ''), payload FROM settle.outbox").splitlines()
        return {row[0]: row[1:] for row in (line.split("|", 3) for line in rows) if row[0] not in self.put_aside}

    def committed(self):
        return set(self.sql("SELECT event_id FROM settle.outbox").splitlines()) - self.put_aside | self.gone

    def delivered(self):
        return [record for topic in ("bills", "runs") for record in self.broker.records(f"{self.prefix}.{topic}")]

    def delivered_all(self, committed):
        """A commit is answered before its end is written to every partition, so what is read right after may lack some."""
        deadline = time.monotonic() + 10
        while True:
            records = self.delivered()
            if time.monotonic() > deadline or committed <= {json.loads(record.value)["id"] for record in records}:
                return records
            time.sleep(0.2)

    def stored_lsn(self):
        """The newest position that is committed; 0 when there is none."""
        try:
            records = self.broker.records(f"{self.prefix}.position", start="-40")
        except BrokerError as error:
            if "nknown topic" in str(error):
                return 0
            raise
        return lsn(json.loads(records[-1].value)["restart_lsn"]) if records else 0

    def moment(self, event):
        """What must rise from one event of an account to the next."""
        return event["data"]["period"], event["data"].get("revision", 0)

    def check_exactly_once(self, name, committed=None):
        """Kafka holds what was committed: nothing missing, nothing twice, nothing else. Returns the records."""
        committed = self.committed() if committed is None else committed
        records = self.delivered_all(committed)
        twice = self.check_nothing_lost(name, committed, records)
        self.tests.equal(twice[:5], [], f"{name}: nothing is there twice")
        self.check_order(name, records)
        return records

    def check_nothing_lost(self, name, committed, records):
        seen = {}
        for record in records:
            event = json.loads(record.value)["id"]
            seen[event] = seen.get(event, 0) + 1
        self.tests.equal(sorted(committed - set(seen))[:5], [], f"{name}: nothing is missing of {len(committed)} events")
        self.tests.equal(sorted(set(seen) - committed)[:5], [], f"{name}: nothing is there that was not committed")
        return sorted(event for event, times in seen.items() if times > 1)

    def check_order(self, name, records):
        last, wrong = {}, []
        for record in records:
            event = json.loads(record.value)
            place, moment = (record.topic, record.key), self.moment(event)
            if record.key and last.get(place, moment) > moment:
                wrong.append(event["id"])
            last[place] = moment
        self.tests.equal(wrong[:5], [], f"{name}: events of an account are in order")

    def run_scenarios(self):
        for name in sorted(name for name in dir(self) if name.startswith("test_") and self.options.only in name):
            began = time.monotonic()
            getattr(self, name)()
            print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)

    # ---- figures --------------------------------------------------------------------------------------------------

    def note_kill(self, kind, unfinished, began):
        """As the programs that disturb runs do: how many, how many met something unfinished, and the seconds."""
        figures = self.kills.setdefault(kind, [0, 0, 0.0])
        figures[0] += 1
        figures[1] += bool(unfinished)
        figures[2] += time.monotonic() - began

    def print_kills(self):
        for kind, (kills, unfinished, seconds) in sorted(self.kills.items()):
            print(f"# kills: {kills:5} {unfinished:5} unfinished {seconds:8.1f} s  {kind}", flush=True)
