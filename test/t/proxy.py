"""A proxy between settle-relay and a server, whose faults are the network's: silence, resets, refusal, damaged bytes.

It listens on a port of 127.0.0.1 and passes on to a TCP port or a unix socket. What it holds back while it is silent is
passed on later, as TCP would do it after an outage.
"""

import socket
import struct
import threading


class Proxy:
    def __init__(self, target=None):
        self.target = target  # (host, port) or the path of a unix socket
        self.flowing = threading.Event()
        self.flowing.set()
        self.refusing = False
        self.damage = None  # bytes of the server → bytes, while it is set
        self.accepted = 0
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    # ---- faults ---------------------------------------------------------------------------------------------------

    def silence(self):
        """A black hole: connections are accepted, and not a byte passes."""
        self.flowing.clear()

    def speak(self):
        self.flowing.set()

    def cut(self):
        """Both ends see a reset."""
        for pair in list(self.pairs):
            self.drop(pair)

    def refuse(self, refusing=True):
        """New connections are reset at once."""
        self.refusing = refusing
        if refusing:
            self.cut()

    # ---- passing on -----------------------------------------------------------------------------------------------

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        if self.refusing:
            self.reset(client)
            return
        server = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
        try:
            server.connect(self.target)
        except OSError:
            self.reset(client)
            return
        for one in (client, server):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        self.pairs.add(pair)
        threading.Thread(target=self.copy, args=(client, server, pair, False), daemon=True).start()
        self.copy(server, client, pair, True)

    def copy(self, source, to, pair, from_server):
        try:
            while data := source.recv(262144):
                self.flowing.wait()
                if from_server and self.damage is not None:
                    data = self.damage(data)
                to.sendall(data)
        except OSError:
            pass
        self.flowing.wait()
        self.drop(pair, politely=True)

    def drop(self, pair, politely=False):
        self.pairs.discard(pair)
        for one in pair:
            try:
                if not politely:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if not politely:
                one.close()
        if politely:
            for one in pair:
                one.close()

    @staticmethod
    def reset(one):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()

    def remove(self):
        self.speak()
        self.cut()
        self.listener.close()
