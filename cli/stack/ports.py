"""TCP ports on loopback."""

import random
import socket
from contextlib import closing

# Below where systems take the ports of outgoing connections, so that a restarted server finds its own port free.
_RANGE = range(20_000, 30_000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which a server could listen now. Another process may still be faster: callers try again."""
    chosen = random.SystemRandom()
    while True:
        port = chosen.choice(_RANGE)
        if is_free(port, host):
            return port


def port_or_free(port: int, host: str = "127.0.0.1") -> int:
    """`port` itself while it is free, else another."""
    return port if port and is_free(port, host) else free_port(host)
