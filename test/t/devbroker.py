#!/usr/bin/env python3
"""settle-devbroker stands in for a Kafka: topics as asked for, events in and out, faults on request, and an orderly end.

Read and written with kcat. At last the relay brings a settled month into it, at least once: each event of the outbox is
there, also after faults.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from server import BINDIR, REPOSITORY, Server, Tests

NOTIFIER = os.path.join(REPOSITORY, "notifier")
PROGRAM = os.path.join(NOTIFIER, "settle-devbroker")
TOPICS = "settle.bills:8,settle.runs,settle.relay.position:7"
ACCOUNTS = 1000


class Devbroker:
    """One that runs; say() gives it a line and returns its answer."""

    def __init__(self, *options):
        self.process = subprocess.Popen([PROGRAM, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.servers = self.process.stdout.readline().strip()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kcat(self, *arguments, text=None, timeout=30):
        result = subprocess.run(["kcat", "-b", self.servers, *arguments], input=text, capture_output=True, text=True, timeout=timeout)
        return result.returncode, result.stdout, result.stderr

    def topics(self):
        listed = self.kcat("-L", "-J")[1]
        return {topic["topic"]: len(topic["partitions"]) for topic in json.loads(listed)["topics"]}

    def leaders(self, topic):
        listed = json.loads(self.kcat("-L", "-J", "-t", topic)[1])
        return [partition["leader"] for partition in listed["topics"][0]["partitions"]]

    def produce(self, topic, text, *more):
        return self.kcat("-P", "-t", topic, "-X", "linger.ms=0", *more, text=text)

    def values(self, topic, form="%s"):
        return self.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", "-X", "fetch.wait.max.ms=10", "-f", form + "\\n")[1].splitlines()


class DevbrokerTests:
    def __init__(self):
        self.tests = Tests()
        self.running = []
        self.relays = []
        self.server = None
        self.directory = tempfile.mkdtemp(prefix="settle-devbroker-")

    def start(self, *options):
        broker = Devbroker(*options)
        self.running.append(broker)
        return broker

    def test_1_options(self):
        for options, reason in ((["--nonsense"], '"--nonsense" is not an option'), (["-x"], '"-x" is not an option'),
                                (["word"], '"word" is not an option'), (["--brokers"], "--brokers needs a value"),
                                (["--brokers", "0"], "1 to 20"), (["--brokers", "two"], '"two"'),
                                (["--topics", "a:0"], "partitions of topic a"), (["--topics", "a:1:2"], '"1:2"'),
                                (["--topics", "a,,b"], "not a name of a topic"), (["--topics", "a/b"], '"a/b" is not a name'),
                                (["--topics", "a,b", "--topics", "a"], "topic a is there twice"),
                                (["--topics", "x" * 250], "not a name of a topic")):
            done = subprocess.run([PROGRAM, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
            self.tests.equal((done.returncode, done.stdout, reason in done.stderr), (2, "", True), f"options {options}: {done.stderr}")
        done = subprocess.run([PROGRAM, "--bootstrap-file", f"{self.directory}/no/such"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)
        self.tests.equal((done.returncode, done.stdout, "cannot write" in done.stderr), (1, "", True), f"no such directory: {done.stderr}")
        for option, text in (("--help", "usage: settle-devbroker"), ("--version", "settle-devbroker 1.0")):
            done = subprocess.run([PROGRAM, option], capture_output=True, text=True, timeout=30)
            self.tests.equal((done.returncode, done.stdout.startswith(text)), (0, True), option)

    def test_2_life(self):
        file = f"{self.directory}/servers"
        broker = self.start("--brokers", "2", "--topics", "first:3,second", "--topics", "third:12", "--bootstrap-file", file)
        with open(file, encoding="utf-8") as written:
            self.tests.equal(written.read(), broker.servers + "\n", "the file holds the line")
        self.tests.equal(len(broker.servers.split(",")), 2, f"a server for each broker: {broker.servers}")
        self.tests.equal(broker.topics(), {"first": 3, "second": 1, "third": 12}, "topics and partitions as asked for")
        lines = [f"{number}|value {number}" for number in range(1000)]
        self.tests.equal(broker.produce("first", "\n".join(lines), "-K", "|")[0], 0, "kcat produces")
        self.tests.equal(sorted(broker.values("first", "%k|%s")), sorted(lines), "kcat reads it back")
        broker.process.stdin.close()
        time.sleep(0.2)
        self.tests.equal(broker.process.poll(), None, "the end of standard input does not end it")
        self.tests.equal(broker.produce("second", "more")[0], 0, "nor its service")
        self.tests.equal(broker.end(), 0, "SIGTERM ends it with status 0")
        self.tests.equal(os.path.exists(file), False, "the file goes with it")
        self.tests.equal(self.start().end(signal.SIGINT), 0, "and so does SIGINT")

    def test_3_commands(self):
        broker = self.start("--topics", "t:2")
        for line, reason in (("", "a command is missing"), ("  ", "a command is missing"), ("explode", 'no command "explode"'),
                             ("down", "usage: down BROKER"), ("down 1 2", "usage: down BROKER"), ("down x", '"x"'),
                             ("down 7", "not available"), ("rtt 1 -5", "milliseconds"), ("leader t 9 1", "Unknown topic or partition"),
                             ("errors Explode 1 UNKNOWN", '"Explode"'), ("errors Produce 0 UNKNOWN", "count"),
                             ("errors Produce 1 NOTHING", '"NOTHING"'), ("clear", "usage: clear API"), ("x" * 5000, "too long"),
                             ("1 2 3 4 5 6 7 8 9", 'no command "1"')):
            answer = broker.say(line)
            self.tests.check(answer.startswith("error: ") and reason in answer, f"line {line[:20]!r} is refused", answer)
        self.tests.equal(broker.say("up 1"), "ok", "the next one is taken")

    def test_4_faults(self):
        broker = self.start("--brokers", "2", "--topics", "t,u:2")
        quick = ("-X", "message.timeout.ms=1000")
        self.tests.equal(broker.say("errors Produce 1 MSG_SIZE_TOO_LARGE"), "ok", "errors")
        code, _, errors = broker.produce("t", "refused", *quick)
        self.tests.check(code != 0 and "too large" in errors, "errors: the producer is told", errors)
        self.tests.equal(broker.produce("t", "taken", *quick)[0], 0, "errors: only as many as asked for")
        self.tests.equal((broker.say("errors Produce 1000 MSG_SIZE_TOO_LARGE"), broker.say("clear Produce")), ("ok", "ok"), "clear")
        self.tests.equal(broker.produce("t", "cleared", *quick)[0], 0, "clear: none is left")
        self.tests.equal(broker.values("t"), ["taken", "cleared"], "errors: what was refused is not there")

        for wanted in (2, 1, -1):
            self.tests.equal(broker.say(f"leader u 1 {wanted}"), "ok", f"leader {wanted}")
            self.tests.equal(broker.leaders("u")[1], wanted, f"leader: it is {wanted}")
        self.tests.check(broker.produce("u", "x", "-p", "1", *quick)[0] != 0, "leader -1: nobody takes the event")

        leader = broker.leaders("t")[0]
        self.tests.equal(broker.say(f"down {leader}"), "ok", "down")
        self.tests.check(broker.produce("t", "x", *quick)[0] != 0, "down: the producer gets no answer")
        self.tests.equal(broker.say(f"up {leader}"), "ok", "up")
        self.tests.equal(broker.produce("t", "up again")[0], 0, "up: it is served again")
        self.tests.equal(broker.say(f"rtt {leader} 700"), "ok", "rtt")
        began = time.monotonic()
        self.tests.equal(broker.produce("t", "slow")[0], 0, "rtt: it is served")
        self.tests.check(time.monotonic() - began >= 0.7, "rtt: but not before its time", time.monotonic() - began)

    # ---- the relay ------------------------------------------------------------------------------------------------

    def relay(self, broker, *more):
        command = [os.path.join(NOTIFIER, "settle-relay"), "--relay.delivery", "at-least-once", "--http.listen", "",
                   "--postgres.conninfo", f"host={self.server.directory} port=5432 user=postgres dbname=month",
                   "--kafka.bootstrap.servers", broker.servers, *more]
        with open(f"{self.directory}/relay.log", "a", encoding="utf-8") as log:
            relay = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.relays.append(relay)
        return relay

    def drain(self, name, broker):
        relay = self.relay(broker, "--once")
        try:
            code = relay.wait(60)
        except subprocess.TimeoutExpired:
            relay.kill()
            code = relay.wait()
        with open(f"{self.directory}/relay.log", encoding="utf-8") as log:
            self.tests.equal(code, 0, f"{name}: --once ends well; {log.read()[-1500:] if code else ''}")

    def check_delivered(self, name, broker, repeats):
        outbox = set(self.server.sql("SELECT event_id FROM settle.outbox", "month").splitlines())
        seen = [json.loads(value)["id"] for topic in ("settle.bills", "settle.runs") for value in broker.values(topic)]
        self.tests.equal(sorted(outbox - set(seen))[:5], [], f"{name}: nothing is missing of {len(outbox)} events")
        self.tests.equal(sorted(set(seen) - outbox)[:5], [], f"{name}: nothing is there that is not in the outbox")
        self.tests.check(repeats or len(seen) == len(outbox), f"{name}: nothing is there twice", (len(seen), len(outbox)))
        return len(outbox)

    def wait_until_active(self, name, timeout=60):
        deadline = time.monotonic() + timeout
        while self.server.sql("SELECT active FROM pg_replication_slots") != "t":
            if time.monotonic() > deadline:
                return self.tests.check(False, f"{name}: the relay does not stream within {timeout} s")
            time.sleep(0.05)
        return True

    def test_5_relay(self):
        name = "relay"
        # minors since 2026 know the list, and others do not start with it
        known = subprocess.run([os.path.join(BINDIR, "postgres"), "--describe-config"], capture_output=True, text=True)
        settings = {"output_plugin_libraries": "'settle'"} if "output_plugin_libraries" in known.stdout else {}
        self.server = Server("devbroker", **settings)
        self.server.create_settled("month", 4)
        self.server.generate("month", ACCOUNTS, "2024-05")
        self.server.sql("SELECT settle_relay_setup()", "month")
        self.server.sql("SELECT settle_run('2024-05', chunk_size => 200)", "month")
        broker = self.start("--topics", TOPICS)
        self.drain(name, broker)
        self.tests.check(self.check_delivered(name, broker, False) > ACCOUNTS * 0.9, f"{name}: there are events")
        self.tests.equal(set(broker.values("settle.relay.position", "%p")), {"0"}, f"{name}: positions are in the partition they are read from")

        name = "relay and faults"
        relay = self.relay(broker)
        self.server.sql("SELECT settle_open_period('2024-06')", "month")
        self.wait_until_active(name)
        broker.say("errors Produce 3 NOT_LEADER_FOR_PARTITION")
        self.server.sql("SELECT settle_run('2024-06', chunk_size => 200)", "month")
        broker.say("down 1")
        time.sleep(0.5)
        broker.say("up 1")
        self.tests.equal(relay.poll(), None, f"{name}: the relay goes on")
        relay.send_signal(signal.SIGTERM)
        self.tests.equal(relay.wait(60), 0, f"{name}: SIGTERM ends it well")
        self.drain(name, broker)
        self.check_delivered(name, broker, True)

    def run(self):
        try:
            subprocess.run(["make", "-s", "-C", NOTIFIER], check=True, stdin=subprocess.DEVNULL)
            for name in sorted(name for name in dir(self) if name.startswith("test_")):
                began = time.monotonic()
                getattr(self, name)()
                print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)
        finally:
            for relay in self.relays:
                if relay.poll() is None:
                    relay.kill()
                    relay.wait()
            for broker in self.running:
                if broker.process.poll() is None:
                    broker.end()
            if self.server is not None:
                self.server.remove()
            shutil.rmtree(self.directory, ignore_errors=True)
        self.tests.end()


if __name__ == "__main__":
    sys.exit(DevbrokerTests().run())
