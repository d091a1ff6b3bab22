"""Something done every few seconds, from a thread of its own, so that a lease does not run out."""

import threading
from collections.abc import Callable


class Heartbeat:
    """Calls ``beat`` every ``period_s`` seconds from ``start`` until ``stop``."""

    def __init__(self, beat: Callable[[], None], period_s: float) -> None:
        self._beat = beat
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; again it does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agent-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End, without waiting for a beat that goes on."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._beat()
