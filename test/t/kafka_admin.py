"""What a test does to a broker besides reading: topics made, changed and deleted, and a producer that fences another.

Through the C library that is there for settle-relay anyway, by ctypes: the broker's own tools start a Java each.
"""

import ctypes

TOPIC = 2  # RD_KAFKA_RESOURCE_TOPIC
TIMEOUT_MS = 30000


def load():
    library = ctypes.CDLL("librdkafka.so.1")
    for name in ("conf_new", "new", "queue_new", "queue_poll", "NewTopic_new", "DeleteTopic_new", "ConfigResource_new",
                 "init_transactions"):
        getattr(library, "rd_kafka_" + name).restype = ctypes.c_void_p
    for name in ("event_error_string", "error_string"):
        getattr(library, "rd_kafka_" + name).restype = ctypes.c_char_p
    return library


class Admin:
    def __init__(self, address):
        self.library = load()
        self.client = self.open(address)

    def call(self, name, *arguments):
        """Pointers are passed as such, texts as C strings."""
        return getattr(self.library, "rd_kafka_" + name)(*(
            argument.encode() if isinstance(argument, str) else
            ctypes.c_void_p(argument) if isinstance(argument, int) and argument > 2**31 else argument
            for argument in arguments))

    def open(self, address, **properties):
        reason = ctypes.create_string_buffer(512)
        conf = self.call("conf_new")
        for name, value in {"bootstrap.servers": address, "log_level": "0", **properties}.items():
            if self.call("conf_set", conf, name, value, reason, 512) != 0:
                raise SystemExit(reason.value.decode())
        client = self.call("new", 0, conf, reason, 512)
        if not client:
            raise SystemExit(reason.value.decode())
        return client

    def ask(self, function, item):
        """Calls one of the admin functions for one item, and waits for the answer."""
        queue = self.call("queue_new", self.client)
        self.call(function, self.client, ctypes.byref(ctypes.c_void_p(item)), ctypes.c_size_t(1), None, queue)
        event = self.call("queue_poll", queue, TIMEOUT_MS)
        code = self.call("event_error", event) if event else -1
        if code != 0:
            raise SystemExit(f"{function}: {self.call('event_error_string', event).decode() if event else 'no answer'}")
        self.call("event_destroy", event)
        self.call("queue_destroy", queue)

    def create(self, topic, partitions, **properties):
        item = self.call("NewTopic_new", topic, partitions, 1, None, ctypes.c_size_t(0))
        for name, value in properties.items():
            self.call("NewTopic_set_config", item, name.replace("_", "."), str(value))
        self.ask("CreateTopics", item)
        self.call("NewTopic_destroy", item)

    def change(self, topic, **properties):
        item = self.call("ConfigResource_new", TOPIC, topic)
        for name, value in properties.items():
            self.call("ConfigResource_set_config", item, name.replace("_", "."), str(value))
        self.ask("AlterConfigs", item)
        self.call("ConfigResource_destroy", item)

    def delete(self, topic):
        item = self.call("DeleteTopic_new", topic)
        self.ask("DeleteTopics", item)
        self.call("DeleteTopic_destroy", item)

    def fence(self, address, transactional_id):
        """As a second process with the same transactional id does it when it starts. Its words when it fails."""
        client = self.open(address, **{"transactional.id": transactional_id})
        error = self.call("init_transactions", client, TIMEOUT_MS)
        said = self.call("error_string", error).decode() if error else ""
        self.call("destroy", client)
        return said
