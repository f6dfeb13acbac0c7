"""A private PostgreSQL for a test: its own directory, socket and postmaster, removed at the end.

Used by every test in this folder. Nothing but the standard library and the client programs of PostgreSQL. As root the
server runs as user postgres, because it refuses to run as root. It is stopped by the pid in its own postmaster.pid.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINDIR = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], capture_output=True, text=True,
                        check=True).stdout.strip()

SETTINGS = {
    "listen_addresses": "''",
    "wal_level": "logical",
    "max_wal_senders": 4,
    "max_replication_slots": 4,
    "max_worker_processes": 12,
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    # what is killed here is processes, never the machine
    "fsync": "off",
    "autovacuum": "off",
    # files of segments then lie in the data directory, where no other server's are
    "dynamic_shared_memory_type": "mmap",
    "max_parallel_workers_per_gather": 0,
    "timezone": "'Asia/Seoul'",
}


class SqlError(Exception):
    """What psql wrote to stderr, with VERBOSITY verbose: "ERROR:  ST001: …"."""


class Server:
    def __init__(self, name, initdb=(), **settings):
        self.server_environment = {}  # what only the server gets, at its next start
        self.directory = tempfile.mkdtemp(prefix=f"settle-{name}-")
        self.data = os.path.join(self.directory, "data")
        self.log = os.path.join(self.directory, "log")
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.as_user:
            shutil.chown(self.directory, "postgres", "postgres")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        self.environment.update(PGHOST=self.directory, PGPORT="5432", PGUSER="postgres", PGTZ="Asia/Seoul",
                                PGCONNECT_TIMEOUT="10")
        self.run(["initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8",
                  *initdb], as_server=True)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write(f"unix_socket_directories = '{self.directory}'\n")
            for key, value in {**SETTINGS, **settings}.items():
                file.write(f"{key} = {value}\n")
        self.start()

    def run(self, command, as_server=False, **options):
        command = [os.path.join(BINDIR, command[0]), *command[1:]]
        result = subprocess.run((self.as_user if as_server else []) + command, env=self.environment, text=True,
                                cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        if result.returncode != 0:
            raise SystemExit(f"{command[0]} failed:\n{result.stdout}")
        return result.stdout

    def start(self, *verb):
        """Or, with ("restart", "-m", "fast"), what else pg_ctl can do."""
        command = self.as_user + [os.path.join(BINDIR, "pg_ctl"), "-D", self.data, "-l", self.log, "-w", "-t", "60",
                                  *(verb or ["start"])]
        result = subprocess.run(command, env={**self.environment, **self.server_environment}, cwd=self.directory,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if result.returncode != 0:
            raise SystemExit("the server does not start:\n" + open(self.log, encoding="utf-8").read()[-4000:])

    def postmaster(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as file:
                return int(file.readline())
        except (FileNotFoundError, ValueError):
            return None

    def stop(self, how=signal.SIGINT, timeout=60):
        """SIGINT: fast, SIGQUIT: immediate. Returns the seconds it took."""
        pid = self.postmaster()
        if pid is None:
            return 0
        began = time.monotonic()
        os.kill(pid, how)
        while os.path.exists(f"/proc/{pid}") and time.monotonic() - began < timeout:
            time.sleep(0.02)
        if os.path.exists(f"/proc/{pid}"):
            raise SystemExit(f"server {pid} did not stop")
        return time.monotonic() - began

    def remove(self):
        if self.postmaster() is not None:
            self.stop(signal.SIGQUIT)
        if os.environ.get("KEEP"):
            print(f"# kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def children(self, title):
        """Pids of processes of this server whose title holds this text, without asking the server."""
        pid = self.postmaster()
        found = []
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                pids = file.read().split()
        except (FileNotFoundError, ProcessLookupError):
            return []
        for child in pids:
            try:
                with open(f"/proc/{child}/cmdline", "rb") as file:
                    if title.encode() in file.read():
                        found.append(int(child))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def psql(self, database):
        return [os.path.join(BINDIR, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-v",
                "SHOW_CONTEXT=never", "-d", database]

    def sql(self, query, database="postgres"):
        result = subprocess.run(self.psql(database) + ["-f", "-"], input=query, env=self.environment,
                                capture_output=True, text=True)
        if result.returncode != 0:
            raise SqlError(result.stderr.strip())
        return result.stdout.strip()

    def begin(self, query, database="postgres"):
        """Starts psql with a query and returns at once; finish() collects it."""
        client = subprocess.Popen(self.psql(database) + ["-c", query], env=self.environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        return client

    def wait_ready(self, timeout=60):
        """Until it takes connections (again), and none of the processes from before a crash is left."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                return self.sql("SELECT 1")
            except SqlError:
                time.sleep(0.05)
        raise SystemExit("the server does not come back:\n" + open(self.log, encoding="utf-8").read()[-4000:])

    def file_copy(self):
        """How CREATE DATABASE copies a template without writing WAL; 14 knows no other way."""
        return "STRATEGY file_copy" if int(self.sql("SHOW server_version_num")) >= 150000 else ""

    def create_settled(self, database, buckets):
        self.sql(f"CREATE DATABASE {database}")
        self.sql(f"CREATE EXTENSION settle; SELECT settle_init({buckets})", database)

    def generate(self, database, accounts, period, seed=1):
        subprocess.run([os.path.join(REPOSITORY, "bench", "generate"), "--accounts", str(accounts), "--period", period,
                        "--seed", str(seed), "--quiet"], env={**self.environment, "PGDATABASE": database}, check=True)


def finish(client, timeout=60):
    try:
        out, errors = client.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        return -1, "", f"no end within {timeout} s"
    return client.returncode, out.strip(), errors.strip()


class Tests:
    """Counts; a failed check says what it saw and the test goes on."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, true, what, seen=""):
        if true:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}" + (f"\n    {seen}" if seen != "" else ""), flush=True)
        return bool(true)

    def equal(self, seen, wanted, what):
        return self.check(seen == wanted, what, f"seen {seen!r}, wanted {wanted!r}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)
