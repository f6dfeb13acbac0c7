#!/usr/bin/env python3
"""Settings of settle-relay and settle-notifier: what cannot work is refused before anything begins, and nothing is lost.

No servers: a daemon that runs here waits for a PostgreSQL that is not there. Each refusal must come with exit status 2 from
--check-config and from a start alike, and say which setting is meant.
"""

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from server import REPOSITORY, Tests

NOTIFIER = os.path.join(REPOSITORY, "notifier")
# RELAY and NOTIFY: other builds of the programs, to see the checks fail
RELAY = os.environ.get("RELAY", os.path.join(NOTIFIER, "settle-relay"))
NOTIFY = os.environ.get("NOTIFY", os.path.join(NOTIFIER, "settle-notifier"))
BROKERS = ["--kafka.bootstrap.servers", "127.0.0.1:1"]

# arguments beside the brokers, and words of the message
BOTH = [
    (["--topic.bills", ""], "topic.bills must be the name of a topic"),
    (["--topic.bills="], "topic.bills must be the name of a topic"),
    (["--topic.bills", ".."], "topic.bills must be the name of a topic"),
    (["--topic.bills", "a b"], "topic.bills must be the name of a topic"),
    (["--topic.bills", "x" * 250], "topic.bills must be the name of a topic"),
    (["--kafka.bootstrap.server", "x:1"], 'kafka.bootstrap.server: No such configuration property: "bootstrap.server"'),
    (["--kafka.bootstrap.servers", ""], "kafka.bootstrap.servers"),
    (["--kafka.security.protocol", "tls"], "kafka.security.protocol"),
    (["--kafka.log_cb", "1"], "kafka.log_cb"),
]
OF_RELAY = [
    *(([f"--topic.{name}", ""], f"topic.{name} must be the name of a topic") for name in ("runs", "position", "dead_letter")),
    (["--topic.position", "settle.bills"], "topic.bills and topic.position must be two topics"),
    (["--topic.runs", "settle.bills"], "topic.bills and topic.runs must be two topics"),
    (["--topic.bills", "settle.dead-letter"], "topic.bills and topic.dead_letter must be two topics"),
    *((["--postgres.slot", slot], "postgres.slot must be") for slot in ("", "Settle", "a-b", "a b", "é", "x" * 64)),
    (["--relay.source", ""], "relay.source must not be empty"),
    (["--transaction.ms", "30001"], "transaction.ms must be at most half of kafka.transaction.timeout.ms, which is 60000"),
    (["--transaction.ms", "600", "--kafka.transaction.timeout.ms", "1100"], "which is 1100, not 600"),
]
OF_NOTIFIER = [(["--consumer.group", ""], "consumer.group must not be empty")]

TAKEN_BY_BOTH = [BROKERS, ["--kafka.metadata.broker.list", "127.0.0.1:1"],
                 [*BROKERS, "--topic.bills", "A.b_c-9"], [*BROKERS, "--topic.bills", "x" * 249]]
TAKEN_BY_RELAY = [
    [*BROKERS, "--postgres.slot", "x" * 63], [*BROKERS, "--transaction.ms", "30000"],
    [*BROKERS, "--transaction.ms", "600", "--kafka.transaction.timeout.ms", "1200"],
    # without transactions there is nothing to outlast
    [*BROKERS, "--transaction.ms", "60000", "--relay.delivery", "at-least-once"],
]

# file, words of the message
FILES = [
    ("[topic]\nbills = a\nbills = b\n", "line 3: topic.bills is there already, in line 2"),
    ("topic.bills = a\n[topic]\nbills = b\n", "line 3: topic.bills is there already, in line 1"),
    ("[topic]\n\nbills = " + "x" * 240 + "\n", "line 3 has more than 197 bytes"),
    ("[topic]\nbills = a\n  runs = b\n", "topic.bills must be the name of a topic"),
    ("[topic]\nbill = a\n", 'line 2: there is no setting "topic.bill"'),
    ("[topic]\nbills = a\n[kafka]\nbootstrap.servers\n", "line 4 is not"),
]


class Settings:
    def __init__(self):
        self.tests = Tests()
        self.folder = tempfile.mkdtemp(prefix="settle-settings-")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("SETTLE_", "PG"))}
        self.processes = []

    def remove(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)

    def write(self, text):
        path = os.path.join(self.folder, "conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run(self, program, *arguments):
        """Exit status, and all that it wrote."""
        try:
            result = subprocess.run([program, "--postgres.conninfo", f"host={self.folder}", "--http.listen", "", *arguments],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    env=self.environment, timeout=5)
        except subprocess.TimeoutExpired:
            return "it went on", ""
        return result.returncode, result.stdout

    # ---- what is refused ------------------------------------------------------------------------------------------

    def refuses(self, program, arguments, words):
        for action in (["--check-config"], []):
            what = " ".join((os.path.basename(program), *action, *(argument[:40] for argument in arguments)))
            status, text = self.run(program, *action, *arguments)
            self.tests.equal(status, 2, f"{what}: exit status")
            self.tests.check(words in text, f"{what}: says {words}", text)

    def takes(self, program, arguments):
        status, text = self.run(program, "--check-config", *arguments)
        self.tests.check(status == 0 and "settings are in order" in text, f"{program} takes {arguments}", text)

    def test_refusals(self):
        for program, refused, taken in ((RELAY, OF_RELAY, TAKEN_BY_RELAY), (NOTIFY, OF_NOTIFIER, [])):
            self.refuses(program, [], "kafka.bootstrap.servers is missing")
            for arguments, words in BOTH + refused:
                self.refuses(program, BROKERS + arguments, words)
            for arguments in TAKEN_BY_BOTH + taken:
                self.takes(program, arguments)
            # what is in force can be looked at before it is complete
            status, text = self.run(program, "--print-config", "--topic.bills", "")
            self.tests.check(status == 0 and "topic.bills = \n" in text, f"{program} --print-config prints it all the same", text)

    def test_files(self):
        for text, words in FILES:
            for program in (RELAY,) if "runs" in text else (RELAY, NOTIFY):
                self.refuses(program, ["--config", self.write(text), *BROKERS], words)
        # brokers of two lines are all there
        path = self.write("[kafka]\nbootstrap.servers = 127.0.0.1:1,\n  127.0.0.1:2\n")
        for program in (RELAY, NOTIFY):
            self.takes(program, ["--config", path])
            self.tests.check("kafka.bootstrap.servers = 127.0.0.1:1, 127.0.0.1:2\n" in self.run(program, "--print-config", "--config", path)[1],
                             f"{program}: a line that is indented goes on with the one before it")

    def test_secrets(self):
        for program in (RELAY, NOTIFY):
            status, text = self.run(program, "--check-config", *BROKERS, "--kafka.sasl.password=hush", "--log.format", "json")
            self.tests.equal(status, 0, f"{program}: a secret on the command line is taken")
            self.tests.check('"level":"warning"' in text and '"setting":"kafka.sasl.password"' in text and
                             '"setting":"postgres.conninfo"' in text and "hush" not in text, f"{program}: and warned of", text)

    # ---- daemons that run -----------------------------------------------------------------------------------------

    def start(self, program, *arguments, **environment):
        log = os.path.join(self.folder, f"log{len(self.processes)}")
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([program, "--postgres.conninfo", f"host={self.folder}", "--http.listen=", *BROKERS, *arguments],
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**self.environment, **environment})
        process.log = log
        self.processes.append(process)
        return process

    def log_of(self, process):
        with open(process.log, encoding="utf-8") as file:
            return file.read()

    def wait_log(self, process, words, times=1):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            if self.log_of(process).count(words) >= times:
                return True
            time.sleep(0.05)
        return self.tests.check(False, f"{os.path.basename(process.args[0])}: {words}, {times} times; status {process.poll()}",
                                self.log_of(process)[-1500:])

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        try:
            self.tests.equal(process.wait(60), 0, f"{process.args[0]} ends well")
        except subprocess.TimeoutExpired:
            self.tests.check(False, f"{process.args[0]} ends", self.log_of(process)[-1500:])

    def test_hangup(self):
        """The command line wins after SIGHUP, too: the file's log.level = error would hide the answer."""
        for program, started in ((RELAY, "settle-relay starts"), (NOTIFY, "settle-notifier starts")):
            path = self.write("[log]\nlevel = error\n")
            process = self.start(program, "--config", path, "--log.level=info")
            if not self.wait_log(process, started):
                continue
            time.sleep(0.5)  # until signals are listened for
            process.send_signal(signal.SIGHUP)
            self.wait_log(process, "settings read again")
            self.write("[log]\nlevel = error\n[topic]\nbills =\n")
            process.send_signal(signal.SIGHUP)
            self.wait_log(process, "settings were not taken over")
            self.tests.check("topic.bills must be the name of a topic" in self.log_of(process), f"{program}: SIGHUP checks, too")
            self.end(process)

    def test_arguments_stay(self):
        """A relay that executes itself anew, because the clock was set back, must do so with what it was told."""
        library, clock = (os.path.join(self.folder, name) for name in ("clock.so", "clock"))
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, os.path.join(REPOSITORY, "test", "t", "clock.c"), "-ldl",
                        "-pthread"], check=True)
        with open(clock, "wb") as file:
            file.write(struct.pack("=q", 0))
        process = self.start(RELAY, "--topic.position=acme.position", "--topic.bills=acme.bills", LD_PRELOAD=library, TEST_CLOCK=clock)
        if not self.wait_log(process, "settle-relay starts") or not self.wait_log(process, "PostgreSQL"):
            return
        with open(clock, "r+b") as file:
            file.write(struct.pack("=q", -3600))
        if self.wait_log(process, "the clock was set back") and self.wait_log(process, "settle-relay starts", 2):
            with open(f"/proc/{process.pid}/cmdline", "rb") as file:
                self.tests.equal(file.read().decode().split("\0")[:-1], process.args, "arguments are as they were given")
        self.end(process)


def main():
    subprocess.run(["make", "-s", "-C", NOTIFIER], check=True, stdin=subprocess.DEVNULL)
    settings = Settings()
    try:
        settings.test_refusals()
        settings.test_files()
        settings.test_secrets()
        settings.test_hangup()
        settings.test_arguments_stay()
    finally:
        settings.remove()
    settings.tests.end()


if __name__ == "__main__":
    main()
