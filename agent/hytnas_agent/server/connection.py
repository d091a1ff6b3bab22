"""One client's socket: bytes in become lines, lines out wait until the client takes them."""

import socket
from collections.abc import Callable

from hytnas_agent.server.loop import EventLoop
from hytnas_agent.wire import LineSplitter

MAX_OUTBOX_BYTES = 16 * 1024 * 1024
# Whoever does not take its answers is not heard until it does.
FULL_OUTBOX_BYTES = 256 * 1024
_RECEIVE_BYTES = 1 << 16


class Connection:
    """A connected client, on the loop's thread.

    Parameters
    ----------
    on_line : callable
        Called with the connection and each line, or None for a line that is too long.
    on_close : callable
        Called once when the client is gone.
    """

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        on_line: Callable[["Connection", bytes | None], None],
        on_close: Callable[["Connection"], None],
    ) -> None:
        self._loop, self._socket = loop, sock
        self._on_line, self._on_close = on_line, on_close
        self._splitter = LineSplitter()
        self._outbox = bytearray()
        self._open, self._watched = True, (True, False)
        sock.setblocking(False)
        loop.watch(sock, self._ready)

    def send(self, line: bytes) -> None:
        """Send a line as soon as the client takes it; one that takes nothing for too long is dropped."""
        if not self._open:
            return
        self._outbox += line
        self._flush()
        if len(self._outbox) > MAX_OUTBOX_BYTES:
            self.close()

    def is_open(self) -> bool:
        """Whether the client is there."""
        return self._open

    def close(self) -> None:
        """End the connection."""
        if not self._open:
            return
        self._open = False
        self._loop.forget(self._socket)
        self._socket.close()
        self._on_close(self)

    def _ready(self) -> None:
        if not self._open:
            return  # closed by another's turn in the same round of the loop
        self._flush()
        if not self.is_open() or not self._watched[0]:
            return
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        for line in self._splitter.feed(data):
            self._on_line(self, line)
            if not self.is_open():
                return

    def _flush(self) -> None:
        while self._outbox:
            try:
                sent = self._socket.send(self._outbox)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            del self._outbox[:sent]
        watched = (len(self._outbox) < FULL_OUTBOX_BYTES, bool(self._outbox))
        if watched != self._watched:
            self._watched = watched
            self._loop.watch(self._socket, self._ready, reading=watched[0], writing=watched[1])
