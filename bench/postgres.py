"""The private PostgreSQL that the benches measure on: a temporary directory, stopped by the pid it was started with."""
import atexit, os, pathlib, shutil, subprocess, tempfile

SETTINGS = """
listen_addresses = ''
wal_level = logical
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = {buffers}
max_wal_size = 64GB
min_wal_size = 8GB
checkpoint_timeout = 1h
max_worker_processes = 16
work_mem = 512MB
hash_mem_multiplier = 2
maintenance_work_mem = 512MB
autovacuum = off
jit = off
"""


class Server:
    """A private PostgreSQL under a temporary directory; stopped by the pid it was started with."""

    def __init__(self, buffers, **more):
        self.bin = subprocess.check_output([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], text=True).strip()
        self.dir = tempfile.mkdtemp(prefix="settle-bench-")
        self.prefix = []
        if os.geteuid() == 0:
            shutil.chown(self.dir, "postgres")
            self.prefix = ["runuser", "-u", "postgres", "--"]
        atexit.register(self.stop)
        data = self.dir + "/data"
        self.run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        with open(data + "/postgresql.conf", "a") as conf:
            conf.write(SETTINGS.format(buffers=buffers) + f"unix_socket_directories = '{self.dir}'\n")
            conf.writelines(f"{key} = '{value}'\n" for key, value in more.items())
        self.run("pg_ctl", "-D", data, "-l", self.dir + "/log", "-w", "start")
        self.env = dict(os.environ, PGHOST=self.dir, PGUSER="postgres", PGDATABASE="bench", PGPORT=str(more.get("port", 5432)),
                        PGOPTIONS="-c client_min_messages=warning")
        subprocess.run(["createdb", "bench"], env=self.env, check=True)

    def run(self, program, *args):
        subprocess.run(self.prefix + [f"{self.bin}/{program}", *args], check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        if os.path.exists(self.dir + "/data/postmaster.pid"):
            self.run("pg_ctl", "-D", self.dir + "/data", "-m", "immediate", "stop")
        shutil.rmtree(self.dir, ignore_errors=True)

    def pid(self):
        return int(pathlib.Path(self.dir + "/data/postmaster.pid").read_text().split()[0])

    def sql(self, *statements, file=None):
        args = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
        for statement in statements:
            args += ["-c", statement]
        if file:
            args += ["-f", str(file)]
        return subprocess.run(args, env=self.env, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
