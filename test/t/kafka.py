"""A private Apache Kafka for a test: one node (KRaft), its own directory and free ports, removed at the end.

The jars come through Maven (test/kafka/pom.xml), which keeps them in its own repository from then on. It is stopped by the
pid it was started with. What lies in a topic is read with kcat, which shares no code with settle-relay but librdkafka.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import namedtuple

from server import REPOSITORY

Record = namedtuple("Record", "topic partition offset key value")

JAVA = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=BROKER://127.0.0.1:{port},APART://127.0.0.1:{apart},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{port},APART://127.0.0.1:{advertised}
listener.security.protocol.map=BROKER:PLAINTEXT,APART:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={directory}/data
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=500
log.segment.bytes=134217728
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=500
"""
# 4.x logs through Log4j 2, which writes errors to stdout where nothing is configured.
LOG4J = """
log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""


class BrokerError(Exception):
    """What kcat wrote to stderr: no broker, no such topic."""


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Broker:
    """`port` is the tests' own way in; clients of `apart_address` are told to come by the port `advertised`, where a test
    may have put a proxy."""

    def __init__(self, pom="pom.xml", advertised=None):
        self.directory = tempfile.mkdtemp(prefix="settle-kafka-")
        self.process, self.started_at = None, 0
        self.port, self.apart, self.controller = free_ports(3)
        self.advertised = advertised or self.apart
        self.address = f"127.0.0.1:{self.port}"
        self.apart_address = f"127.0.0.1:{self.advertised}"
        self.write("log4j", LOG4J)
        self.write_properties()
        self.run(["mvn", "-B", "-q", "-f", f"{REPOSITORY}/test/kafka/{pom}", "dependency:copy-dependencies",
                  f"-DoutputDirectory={self.directory}/lib"])
        uuid = self.run(self.java("kafka.tools.StorageTool", "random-uuid")).split()[-1]
        self.run(self.java("kafka.tools.StorageTool", "format", "-t", uuid, "-c", f"{self.directory}/properties"))
        self.start()

    def write(self, name, text):
        with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def write_properties(self, more=""):
        """What is in force from the next start on."""
        self.write("properties", PROPERTIES.format(port=self.port, apart=self.apart, advertised=self.advertised,
                                                   controller=self.controller, directory=self.directory) + more)

    def java(self, *arguments):
        return [*JAVA, f"-Dlog4j.configuration=file:{self.directory}/log4j", "-cp", f"{self.directory}/lib/*", *arguments]

    def run(self, command):
        result = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            raise SystemExit(f"{command[0]} failed:\n{result.stdout[-4000:]}")
        return result.stdout

    def start(self, timeout=90):
        with open(f"{self.directory}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.java("kafka.Kafka", f"{self.directory}/properties"), cwd=self.directory,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            asked = subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2", "-q"], capture_output=True, text=True)
            if asked.returncode == 0 and "1 brokers" in asked.stdout:
                self.started_at = time.monotonic()
                return
            time.sleep(0.1)
        raise SystemExit("Kafka does not start:\n" + open(f"{self.directory}/log", encoding="utf-8").read()[-4000:])

    def stop(self, how=signal.SIGTERM):
        """SIGTERM: in order, SIGKILL: as after a loss of power, SIGSTOP and SIGCONT: an outage that nobody is told of."""
        self.process.send_signal(how)
        if how in (signal.SIGTERM, signal.SIGKILL):
            self.process.wait(60)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        if os.environ.get("KEEP"):
            print(f"# kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def topics(self):
        listed = subprocess.run(["kcat", "-b", self.address, "-L", "-q"], capture_output=True, text=True).stdout
        return {line.split('"')[1]: int(line.split()[3]) for line in listed.splitlines() if line.startswith("  topic ")}

    def records(self, topic, isolation="read_committed", start="beginning"):
        """All that lies in a topic, partition by partition in the order of offsets; or, from -n on, its last n offsets."""
        result = subprocess.run(["kcat", "-b", self.address, "-C", "-t", topic, "-o", start, "-e", "-q", "-X",
                                 f"isolation.level={isolation}", "-X", "fetch.wait.max.ms=10", "-f", "%p\\t%o\\t%k\\t%s\\n"],
                                capture_output=True, text=True)
        if result.returncode != 0:
            raise BrokerError(result.stderr.strip())
        records = []
        for line in result.stdout.splitlines():
            partition, offset, key, value = line.split("\t", 3)
            records.append(Record(topic, int(partition), int(offset), key, value))
        return sorted(records)

    def produce(self, topic, value):
        """One more record, of somebody else; its value."""
        subprocess.run(["kcat", "-b", self.address, "-P", "-t", topic, "-c", "1"], input=value, text=True, check=True, capture_output=True)
        return value
