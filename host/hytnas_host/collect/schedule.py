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


def slots_of(model_sha256: str, processes: int, /) -> list[Slot]:
    """The processes of one model: ``processes`` timed ones and a memory pass."""
    timed = [Slot(model_sha256, "timed", replicate) for replicate in range(processes)]
    return [*timed, Slot(model_sha256, "memory", 0)]


def schedule_window(models: Sequence[str], processes: int, rng: np.random.Generator, /) -> list[Slot]:
    """All processes of one window: ``processes`` timed rounds, then one round of memory passes.

    Every round holds each model once, in an order of its own; where two rounds meet, no model follows itself
    unless it is the only one.

    Parameters
    ----------
    models : sequence of m distinct str
        Hashes of the models.
    processes : int
        Timed processes a model.
    rng : numpy.random.Generator

    Returns
    -------
    list of m * (processes + 1) Slot
    """
    slots: list[Slot] = []
    for round_number in range(processes + 1):
        order = [models[i] for i in rng.permutation(len(models))]
        if slots and len(order) > 1 and order[0] == slots[-1].model_sha256:
            other = int(rng.integers(1, len(order)))
            order[0], order[other] = order[other], order[0]
        timed = round_number < processes
        slots += [
            Slot(model, "timed" if timed else "memory", round_number if timed else 0) for model in order
        ]
    return slots
