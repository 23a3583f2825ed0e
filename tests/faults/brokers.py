"""A broker that is killed, and that clients reach directly or through a proxy."""

from tests.faults.proxy import Proxy
from tests.kafka.broker import JavaBroker
from tests.kafka.java import free_port


class ProxiedBroker(JavaBroker):
    """`bootstrap` is the direct way; `through_proxy` a listener of its own, whose advertised address is the proxy's."""

    def __init__(self) -> None:
        # Compaction that does not wait, for the holes that it leaves.
        super().__init__(log_cleaner_backoff_ms="100", log_segment_delete_delay_ms="100")
        behind = free_port()
        self.proxy = Proxy(("127.0.0.1", behind))
        self.through_proxy = f"127.0.0.1:{self.proxy.port}"
        known = dict(line.split("=", 1) for line in self._properties.read_text("utf-8").splitlines() if line)
        added = {
            "listeners": f"PROXIED://127.0.0.1:{behind}",
            "advertised.listeners": f"PROXIED://{self.through_proxy}",
            "listener.security.protocol.map": "PROXIED:PLAINTEXT",
        }
        lines = {**known, **{name: f"{known[name]},{value}" for name, value in added.items()}}
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), "utf-8")

    def close(self) -> None:
        self.proxy.close()
        super().close()
