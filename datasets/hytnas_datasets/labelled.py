"""Labelled architectures, the one form in which predictors, search and reports take data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.pass_records import OperatorProfile
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.quality_flags import DOUBTS, FlagCount, QualityFlags
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.targets import Target


@dataclass(frozen=True)
class LabelledSet:
    """Architectures of one space with one label each, for one target in one context.

    Attributes
    ----------
    space : Space
    architectures : tuple of n Architecture
    plan_hashes : tuple of n str
        Identity of the network each architecture gives; the group of a grouped fold.
    y : (n,) float64
        The labels, in the unit of the target.
    repeats : tuple of n (r_i,) float64 arrays
        Independent repeats behind each label, same unit, e.g. medians of fresh processes, or accuracies of
        training seeds. ``r_i`` may be 1 where nothing was repeated.
    target : Target
    context : LabelContext
        What the labels depend on besides the networks.
    provenance : str
        One line: where the labels come from.
    devices : tuple of n tuples of str
        Ids of the boards each label was measured on; empty where they do not come from a device.
    quality_flags : tuple of n QualityFlags
        What is to be said of each label; empty where nothing is known of that, and for targets whose labels
        have no quality flags.
    profiles : tuple of n OperatorProfile or None
        Where the time of each network goes, in the model file and on the device of its label; empty where
        nothing was profiled.
    left_out : tuple of QualityFlags
        Those of the labels that `stable` left out.
    """

    space: Space
    architectures: tuple[Architecture, ...]
    plan_hashes: tuple[str, ...]
    y: NDArray[np.float64]
    repeats: tuple[NDArray[np.float64], ...]
    target: Target
    context: LabelContext
    provenance: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    devices: tuple[tuple[str, ...], ...] = ()
    quality_flags: tuple[QualityFlags, ...] = ()
    profiles: tuple[OperatorProfile | None, ...] = ()
    left_out: tuple[QualityFlags, ...] = ()

    def __len__(self) -> int:
        return len(self.architectures)

    @property
    def flag_count(self) -> FlagCount | None:
        """How many labels have which quality flag; ``None`` where that is not known."""
        known = len(self.quality_flags) == len(self) and self.target.has_flags
        return FlagCount.of(self.quality_flags, self.left_out) if known else None

    def describe_left_out(self) -> str:
        """Words in brackets, to go with an error about too few labels; empty where none was left out."""
        if not self.left_out:
            return ""
        every = len(self) + len(self.left_out)
        return (
            f" (--stable-only left out {len(self.left_out)} of {every}, which are UNSTABLE or have too "
            "few undisturbed processes)"
        )

    def take(self, rows: Sequence[int]) -> "LabelledSet":
        """The labels of these rows, in their order.

        Examples
        --------
        >>> from hytnas_datasets.bundled import load
        >>> len(load("hyt-icount-a53").take([3, 1]))
        2
        """
        return replace(
            self,
            architectures=tuple(self.architectures[row] for row in rows),
            plan_hashes=tuple(self.plan_hashes[row] for row in rows),
            y=self.y[list(rows)],
            repeats=tuple(self.repeats[row] for row in rows),
            devices=tuple(self.devices[row] for row in rows) if self.devices else (),
            quality_flags=tuple(self.quality_flags[row] for row in rows) if self.quality_flags else (),
            profiles=tuple(self.profiles[row] for row in rows) if self.profiles else (),
        )

    def stable(self) -> "LabelledSet":
        """The set without its doubtful labels: UNSTABLE ones, and those of too few undisturbed processes.

        Raises DataSetError where it is not known which those are.
        """
        if not self.target.has_flags:
            raise DataSetError(
                f"labels of {self.target.words} are neither UNSTABLE nor disturbed, so that none can be left "
                "out for that",
                "Do without --stable-only",
            )
        if self.flag_count is None:
            raise DataSetError(
                "these labels do not say which of them are UNSTABLE or have too few undisturbed processes",
                "Do without --stable-only",
            )
        kept = [row for row, quality_flags in enumerate(self.quality_flags) if not quality_flags & DOUBTS]
        return replace(
            self.take(kept),
            left_out=(
                *self.left_out,
                *(quality_flags for quality_flags in self.quality_flags if quality_flags & DOUBTS),
            ),
        )
