"""An event loop of one page: descriptors, calls from other threads, and a tick when time is up.

The standard library's asyncio does the same and more; this one keeps the server to two threads whose every
wake-up has a cause that can be pointed at.
"""

import contextlib
import selectors
import socket
from collections import deque
from collections.abc import Callable


class EventLoop:
    """Runs callbacks of one thread until stopped."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_end, self._wait_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._wait_end.setblocking(False)
        self._stopped = False
        self._selector.register(self._wait_end, selectors.EVENT_READ, self._drain)

    @property
    def wakeup_fd(self) -> int:
        """A descriptor that wakes the loop when written to, for ``signal.set_wakeup_fd``."""
        return self._wake_end.fileno()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function on the loop's thread soon; may be called from any thread."""
        self._calls.append(function)
        with contextlib.suppress(BlockingIOError):
            self._wake_end.send(b"\0")

    def stop(self) -> None:
        """Leave `run` after the present round; may be called from a signal handler."""
        self._stopped = True
        self.call(lambda: None)

    def watch(
        self,
        sock: socket.socket,
        callback: Callable[[], None],
        *,
        reading: bool = True,
        writing: bool = False,
    ) -> None:
        """Call back when the socket can be read, or written, or either; at least one must be asked for."""
        events = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
        if sock in self._selector.get_map():
            self._selector.modify(sock, events, callback)
        else:
            self._selector.register(sock, events, callback)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching the socket."""
        self._selector.unregister(sock)

    def run(self, tick: Callable[[], float | None]) -> None:
        """Serve until stopped. ``tick`` does what is due and says in how many seconds it is due again."""
        while not self._stopped:
            for key, _ in self._selector.select(tick()):
                key.data()
            while self._calls:
                self._calls.popleft()()

    def close(self) -> None:
        """Give the descriptors back."""
        self._selector.close()
        self._wake_end.close()
        self._wait_end.close()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wait_end.recv(4096):
                pass
