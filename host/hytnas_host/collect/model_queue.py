"""Models that several devices share: who measures which, and what comes back from a device that is lost.

The unit of work is a model, measured wholly on one device, so that each label is from one device. Devices
take windows of models (whose processes they interleave), large at first and smaller towards the end, so that
no device is idle while another has much left (guided self-scheduling).

References
----------
.. [polychronopoulos1987] Polychronopoulos and Kuck, "Guided self-scheduling: a practical scheduling scheme
   for parallel supercomputers", IEEE Transactions on Computers C-36(12), 1987.
"""

import threading
from collections.abc import Callable, Collection, Sequence

from hytnas_host.collect.budget import TimeBudget
from hytnas_host.collect.model import Model
from hytnas_host.collect.schedule import FEW_MODELS
from hytnas_host.collect.windows import PreparedWindows


def window_size(remaining: int, devices: int, window: int) -> int:
    """How many models a device takes: its share of the remaining ones, at most ``window``.

    Fewer than ``FEW_MODELS`` are not left over where that can be helped: it takes them, too, or leaves them
    company.
    """
    size = min(window, max(-(-remaining // max(devices, 1)), FEW_MODELS))
    if 0 < remaining - size < FEW_MODELS:
        size = remaining if remaining <= window else max(remaining - FEW_MODELS, -(-remaining // 2))
    return min(window, size)


class ModelQueue:
    """Hands out models to devices; for any thread.

    Parameters
    ----------
    windows : PreparedWindows
    devices : collection of str
        Device ids of the devices that share the models.
    window : int
        Most models a device takes at once.
    done : callable
        Whether nothing of a model is left to measure; asked once a model, as it comes from the windows.
    begun_on : callable
        The device that has measured a part of a model already, if any: it goes on with it if it is free to.
    budget : TimeBudget, optional
        Once it is over, nothing more is handed out.
    """

    def __init__(
        self,
        windows: PreparedWindows,
        devices: Collection[str],
        *,
        window: int,
        done: Callable[[Model], bool],
        begun_on: Callable[[str], str | None],
        budget: TimeBudget | None = None,
    ) -> None:
        self._windows = windows
        self._window = window
        self._done = done
        self._begun_on = begun_on
        self._budget = budget or TimeBudget()
        self._settled = 0
        self._changed = threading.Condition()
        self._ready: list[Model] = []
        self._taken: dict[str, Sequence[Model]] = dict.fromkeys(devices, ())
        self._absent: set[str] = set()
        self._exhausted: set[str] = set()
        self._next_window = 0
        self._refilling = False
        self._stopped = False

    def take(self, device: str) -> list[Model]:
        """The models that the device is to measure next, waiting for them; none when nothing is left to do.

        While other devices are still measuring, something may come back, so it waits for them, too.
        """
        while True:
            with self._changed:
                if self._stopped:
                    return []
                self._absent.discard(device)
                wanted = window_size(self._remaining(), len(self._taken) - len(self._absent), self._window)
                wanted = 0 if device in self._exhausted else int(min(wanted, self._room()))
                chosen = self._choose(device, wanted)
                # Who is being exported for anyway does not keep the others waiting.
                enough = min(wanted, FEW_MODELS) if self._refilling else wanted
                if chosen and (len(chosen) >= enough or not (self._more() or self._refilling)):
                    return self._hand_out(device, chosen)
                if self._finished():
                    self._changed.notify_all()
                    return []
                if self._refilling or not self._more() or not wanted:
                    self._changed.wait()
                    continue
                self._refilling = True
            self._refill()

    def finish(self, device: str, later: Sequence[Model] = (), *, exhausted: bool = False) -> None:
        """The device has measured what it took, but for those that it goes on with later.

        Where its time is ``exhausted`` it gets nothing more.
        """
        with self._changed:
            if exhausted:
                self._exhausted.add(device)
        self._put_back(device, later)

    @property
    def others_wait(self) -> bool:
        """Whether there are models that nobody has taken yet."""
        with self._changed:
            return bool(self._ready) or self._more() or self._refilling

    def needed(self, device: str) -> int:
        """How many of the models that the device has taken are needed for the least of the budget."""
        with self._changed:
            others = sum(len(models) for name, models in self._taken.items() if name != device)
            return max(self._budget.least - self._settled - others, 0)

    def give_back(self, device: str, models: Sequence[Model]) -> None:
        """The device is lost, and these models of what it took are not finished: anyone may have them."""
        with self._changed:
            self._absent.add(device)
        self._put_back(device, models)

    def stop(self) -> None:
        """Nobody gets anything any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait_finished(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do (true) or the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or self._finished(), timeout_s)

    @property
    def finished(self) -> bool:
        """Whether every model that could be prepared has been measured, or those that there was time for."""
        with self._changed:
            return self._finished()

    def _finished(self) -> bool:
        if any(self._taken.values()) or self._refilling:
            return False
        return self._spent() or not (self._more() or self._ready)

    def _spent(self) -> bool:
        present = self._taken.keys() - self._absent
        return (bool(present) and present <= self._exhausted) or self._room() <= 0

    def _room(self) -> float:
        """How many more models may be handed out: not so few that the processes of one run back to back."""
        under_way = sum(len(models) for models in self._taken.values())
        taken = self._settled + under_way
        room = self._budget.room(taken=taken, under_way=under_way)
        return room if room >= min(FEW_MODELS, self._remaining()) else 0

    def _more(self) -> bool:
        return self._next_window < len(self._windows)

    def _remaining(self) -> int:
        """Models that nobody has taken; all of those that are not prepared yet count."""
        if not self._more():
            return len(self._ready)
        return len(self._ready) + max(self._windows.source.models - self._next_window * self._window, 1)

    def _choose(self, device: str, wanted: int) -> list[Model]:
        """Models for the device: what it has begun itself, then what nobody has, then what others have."""
        owners = {model.sha256: self._begun_on(model.sha256) for model in self._ready}
        own = [model for model in self._ready if owners[model.sha256] == device]
        fresh = [model for model in self._ready if owners[model.sha256] is None]
        if own or fresh or self._more() or self._refilling:
            return (own + fresh)[:wanted]
        return self._ready[:wanted]

    def _hand_out(self, device: str, models: list[Model]) -> list[Model]:
        taken = {model.sha256 for model in models}
        self._ready = [model for model in self._ready if model.sha256 not in taken]
        self._taken[device] = models
        return models

    def _refill(self) -> None:
        """Prepare one more window, outside the lock: that takes long."""
        models: list[Model] = []
        settled = 0
        try:
            prepared = self._windows.window(self._next_window)
            models = [m for m in prepared if not self._done(m)]
            settled = len(prepared) - len(models)
        finally:
            with self._changed:
                self._ready += models
                self._settled += settled
                self._next_window += 1
                self._refilling = False
                self._changed.notify_all()

    def _put_back(self, device: str, models: Sequence[Model]) -> None:
        with self._changed:
            ended = len(self._taken[device]) - len(models)
            self._settled += ended
            self._budget.end(ended)
            self._taken[device] = ()
            self._ready = [*models, *self._ready]
            self._changed.notify_all()
