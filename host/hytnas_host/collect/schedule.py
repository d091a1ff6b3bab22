"""In which order the processes of a batch of models run. Pure: no clock, no device.

Replicates of one model are spread over the batch, so that slow drift of the device (temperature, background
work) shows in the spread between a model's processes instead of hiding in one model's label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hytnas_agent.label import StoppingRule
from hytnas_agent.records import MeasurePass

FEW_MODELS: Final = 4
"""Among fewer models the processes of one run back to back, and drift does not show in its spread."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One fresh process: which model, which pass, which replicate of that pass."""

    model_sha256: str
    measure_pass: MeasurePass
    replicate: int


@dataclass(frozen=True, slots=True)
class Passes:
    """What is measured of each model: timed processes by a rule, then each of the other passes once."""

    rule: StoppingRule
    others: tuple[MeasurePass, ...] = (MeasurePass.MEMORY,)

    @property
    def count(self) -> int:
        """The processes that a model takes at least."""
        return self.rule.min_processes + len(self.others)


def slots_of(model_sha256: str, passes: Passes, /) -> list[Slot]:
    """All the processes that one model may take."""
    timed = [
        Slot(model_sha256, MeasurePass.TIMED, replicate) for replicate in range(passes.rule.max_processes)
    ]
    return timed + [Slot(model_sha256, other, 0) for other in passes.others]


def schedule_round(models: Sequence[str], previous: str | None, rng: np.random.Generator, /) -> list[str]:
    """An order of the models in which none follows itself, unless it is the only one.

    Parameters
    ----------
    models : sequence of m distinct str
    previous : str or None
        What ran just before the round.
    rng : numpy.random.Generator

    Returns
    -------
    list of m str
    """
    order = [models[i] for i in rng.permutation(len(models))]
    if len(order) > 1 and order[0] == previous:
        other = int(rng.integers(1, len(order)))
        order[0], order[other] = order[other], order[0]
    return order
