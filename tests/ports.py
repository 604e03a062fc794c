"""Ports of the loopback: for a server that is started later, and such where nobody or nothing answers."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

# Below those that the system gives to whoever asks for any port (Linux: 32768 on), and to connections: between the
# choice and the start of a server, or while one is started again, nobody gets it by chance.
FIRST, LAST = 15_000, 29_999


def free_port() -> int:
    """A port that nothing listens on, for a server that cannot choose one itself."""
    draw = random.SystemRandom()  # the tests of two processes must not draw the same ones
    while True:
        port = draw.randint(FIRST, LAST)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port at which connections are refused: it is taken, and nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[int, list[None]]]:
    """A port at which every connection is ended at once, and a list that has an entry for each of them."""
    calls: list[None] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    calls.append(None)
                    connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], calls
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
