"""In which order the processes of a batch of models run. Pure: no clock, no device.

Replicates of one model are spread over the batch, so that slow drift of the board (temperature, background
work) shows in the spread between a model's processes instead of hiding in one model's label.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hytnas_agent.records import MeasurePass


@dataclass(frozen=True, slots=True)
class Slot:
    """One fresh process: which model, which pass, which replicate of that pass."""

    model_sha256: str
    measure_pass: MeasurePass
    replicate: int


@dataclass(frozen=True, slots=True)
class Passes:
    """What is measured of each model: so many timed processes, and (or not) its peak memory in another."""

    timed: int
    memory: bool = True

    @property
    def count(self) -> int:
        """Processes a model."""
        return self.timed + self.memory


def slots_of(model_sha256: str, passes: Passes, /) -> list[Slot]:
    """The processes of one model."""
    slots = [Slot(model_sha256, "timed", replicate) for replicate in range(passes.timed)]
    return [*slots, Slot(model_sha256, "memory", 0)] if passes.memory else slots


def schedule_window(models: Sequence[str], passes: Passes, rng: np.random.Generator, /) -> list[Slot]:
    """All processes of one window: the timed rounds, then one round of memory passes.

    Every round holds each model once, in an order of its own; where two rounds meet, no model follows itself
    unless it is the only one.

    Parameters
    ----------
    models : sequence of m distinct str
        Hashes of the models.
    passes : Passes
    rng : numpy.random.Generator

    Returns
    -------
    list of m * passes.count Slot
    """
    slots: list[Slot] = []
    for round_number in range(passes.count):
        order = [models[i] for i in rng.permutation(len(models))]
        if slots and len(order) > 1 and order[0] == slots[-1].model_sha256:
            other = int(rng.integers(1, len(order)))
            order[0], order[other] = order[other], order[0]
        timed = round_number < passes.timed
        slots += [
            Slot(model, "timed" if timed else "memory", round_number if timed else 0) for model in order
        ]
    return slots
