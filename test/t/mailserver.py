"""Mail servers for the tests of the e-mail channel, each on a free port of its own.

- Sink: smtp-sink of Postfix, for numbers and for the faults it can make.
- Mailbox: aiosmtpd, for contents, TLS and authentication.
- Scripted: answers what a row of a table says, and notes when the client speaks out of turn.

smtp-sink is Postfix's, taken from where it is installed or from where scripts/lib.sh has unpacked the package: installing
it would remove the mail server that a machine may have.
"""

import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from kafka import free_ports

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME", "/var/tmp") + "/.cache", "settle", "postfix")


def postfix_tool(name):
    """Path and environment of smtp-sink or smtp-source."""
    for directory in (*os.environ["PATH"].split(":"), "/usr/sbin", os.path.join(CACHE, "usr/sbin")):
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK):
            libraries = os.path.join(os.path.dirname(os.path.dirname(path)), "lib", "postfix")
            return path, {**os.environ, "LD_LIBRARY_PATH": libraries, "MAIL_CONFIG": "/nonexistent"}
    raise SystemExit(f"there is no {name}: . scripts/lib.sh; unpack_postfix")


def wait_listening(port, timeout=30):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


class Sink:
    """smtp-sink with these options; what it has taken lies in `dump` unless dump=False."""

    def __init__(self, *options, dump=True):
        self.directory = tempfile.mkdtemp(prefix="settle-sink-")
        os.chmod(self.directory, 0o777)
        self.port, = free_ports(1)
        self.dump = os.path.join(self.directory, "dump")
        program, environment = postfix_tool("smtp-sink")
        command = [program, *(["-u", "nobody"] if os.getuid() == 0 else []), *(["-D", self.dump] if dump else []), *options]
        self.command = command + [f"127.0.0.1:{self.port}", "500"]
        self.environment = environment
        self.log = os.path.join(self.directory, "log")
        self.start()

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_listening(self.port)

    def stop(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
            if how in (signal.SIGKILL, signal.SIGTERM):
                self.process.wait(30)

    def messages(self):
        """Message-IDs of all that it has taken, in their order."""
        if not os.path.exists(self.dump):
            return []
        with open(self.dump, encoding="utf-8", errors="replace") as dump:
            return [line.split()[1] for line in dump if line.startswith("Message-ID: ")]

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Certificates:
    """A CA, a certificate of it for localhost and 127.0.0.1, one for another name, and one of nobody."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="settle-tls-")
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
        self.issue("good", "DNS:localhost,IP:127.0.0.1")
        self.issue("other", "DNS:elsewhere.example")
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                 "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "nobody.key", "-out", "nobody.pem")
        self.ca = self.path("ca.pem")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, *words):
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def issue(self, name, alternatives):
        with open(self.path(f"{name}.ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternatives}\n")
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
                 f"{name}.ext", "-out", f"{name}.pem")

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Mailbox:
    """aiosmtpd in a thread. `messages` are (envelope sender, recipients, bytes, whether over TLS, user)."""

    def __init__(self, starttls=None, tls=None, user=None, password=None, **options):
        self.messages = []
        self.port, = free_ports(1)
        self.user, self.password = user, password
        if starttls:
            options.update(tls_context=starttls, require_starttls=True)
        if tls:
            options.update(ssl_context=tls, auth_require_tls=False)
        if user:
            options.update(authenticator=self.authenticate, auth_required=True)
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self.controller.start()

    def authenticate(self, server, session, envelope, mechanism, data):
        return AuthResult(success=data.login.decode() == self.user and data.password.decode() == self.password,
                          handled=False, auth_data=data.login.decode())

    async def handle_DATA(self, server, session, envelope):
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None, session.auth_data))
        return "250 2.0.0 Ok: queued as MAILBOX1"

    def remove(self):
        self.controller.stop()


class Scripted:
    """Each word a client says has an answer: "250 ok"; "421 bye!" = and then the connection ends; "!" = it ends without an
    answer; "~0.5 250 ok" = after so many seconds; "?" = never one; "" = none, go on. A list: one for each time, the last for ever."""

    EHLO = ("PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES")
    USUAL = {"CONNECT": "220 scripted ESMTP", "RSET": "250 2.0.0 ok", "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go on",
             "DOT": "250 2.0.0 Ok: queued as SCRIPT1", "LONE": "554 5.5.1 no valid recipients", "BODY": "", "QUIT": "221 bye!"}

    def __init__(self, ehlo=EHLO, tls=None, **script):
        self.ehlo, self.tls = ehlo, tls
        self.script = {word: list(answer) if isinstance(answer, (list, tuple)) else [answer] for word, answer in {**self.USUAL, **script}.items()}
        self.messages = []    # those whose dot was read
        self.commands = []    # of all connections
        self.violations = []
        self.connections = 0
        self.times = []       # of connections
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.times.append(time.monotonic())
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def answer(self, word):
        with self.lock:
            answers = self.script[word]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def violate(self, what):
        self.violations.append(what)

    def say(self, peer, word):
        """False = the connection is over."""
        text = self.answer(word)
        if text == "?":
            time.sleep(3600)
        if text.startswith("~"):
            seconds, _, text = text[1:].partition(" ")
            time.sleep(float(seconds))
        over = text.endswith("!")
        if text.rstrip("!"):
            peer.sendall(text.rstrip("!").replace("|", "\r\n").encode() + b"\r\n")
        return not over

    def serve(self, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            Dialogue(self, peer).run()
        except OSError:
            pass
        finally:
            peer.close()

    def remove(self):
        self.listener.close()


class Dialogue:
    def __init__(self, server, peer):
        self.server, self.peer, self.buffer = server, peer, b""
        self.open, self.recipients = False, 0  # a transaction; recipients that it has

    def line(self):
        while b"\n" not in self.buffer:
            data = self.peer.recv(65536)
            if not data:
                raise OSError("end")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            self.server.violate(f"a line without CR: {line[:40]}")
        return line.rstrip(b"\r")

    def more_is_there(self):
        return bool(self.buffer) or bool(select.select([self.peer], [], [], 0.02)[0])

    def body(self):
        """Lines up to the dot; b"" = it was alone."""
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
            if len(lines) == 1 and not self.server.say(self.peer, "BODY"):
                raise OSError("end")
        return b"\r\n".join(lines)

    def data(self):
        answer = self.server.script["DATA"][0]
        if not self.server.say(self.peer, "DATA"):
            return False
        if not answer.startswith("354"):
            return True
        body = self.body()
        if self.more_is_there():
            self.server.violate("something behind the dot")
        self.open = False
        if not body:
            if self.recipients:
                self.server.violate("a lone dot with a recipient")
            return self.server.say(self.peer, "LONE")
        self.server.messages.append(body)
        return self.server.say(self.peer, "DOT")

    def command(self, word, line):
        """What a server would think of it; False = the connection is over."""
        if word == "MAIL":
            if self.open:
                self.server.violate("MAIL within a transaction")
            self.open, self.recipients = True, 0
        elif word == "RSET":
            self.open = False
        elif word == "RCPT":
            self.recipients += self.server.script["RCPT"][0].startswith("2")
        elif word == "DATA":
            return self.data()
        elif word not in self.server.script:
            self.server.violate(f"an unknown command: {line[:60]}")
            self.peer.sendall(b"500 5.5.2 what\r\n")
            return True
        return self.server.say(self.peer, word)

    def run(self):
        if not self.server.say(self.peer, "CONNECT"):
            return
        while True:
            line = self.line().decode()
            word = line.split(" ", 1)[0].split(":", 1)[0].upper()
            self.server.commands.append(line)
            if word == "EHLO":
                lines = ["scripted", *self.server.ehlo]
                self.peer.sendall("".join(f"250{'-' if at + 1 < len(lines) else ' '}{one}\r\n" for at, one in enumerate(lines)).encode())
                continue
            if "PIPELINING" not in self.server.ehlo and word != "DATA" and self.buffer:
                self.server.violate(f"something behind {word}, and no PIPELINING")
            if not self.command(word, line):
                return
