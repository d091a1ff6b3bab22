"""What is to be said of a latency label: less certain than it was meant to be, or never held to a width."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from hytnas_agent.records import LatencyLabel, Outcome, ProcessResult

QualityFlag = Literal["unstable", "disturbed", "untargeted"]
QualityFlags = frozenset[QualityFlag]

ALL: Final[tuple[QualityFlag, ...]] = get_args(QualityFlag)
DOUBTS: Final[QualityFlags] = frozenset(("unstable", "disturbed"))
"""Those that make a label doubtful: UNSTABLE, or with too few undisturbed processes. An ``untargeted`` one is
of a fixed number of processes: its interval was held to no width, so that it cannot be UNSTABLE."""


class FlagCount(msgspec.Struct, frozen=True):
    """How many of ``labels`` latency labels have a quality flag.

    Attributes
    ----------
    labels : int
        All labels, those that were left out included.
    unstable, disturbed : int
        Labels whose interval stayed wider than its target, and labels with too few undisturbed processes.
    doubtful : int
        Labels with one of the two, or both.
    untargeted : int
        Labels that are not doubtful, of a fixed number of processes.
    left_out : int
        Labels that were left out for being doubtful: none of them, or all.
    """

    labels: int
    unstable: int
    disturbed: int
    doubtful: int
    untargeted: int
    left_out: int = 0

    @classmethod
    def of(cls, kept: Sequence[QualityFlags], left_out: Sequence[QualityFlags] = ()) -> "FlagCount":
        """Count the quality flags of labels that are there, and of those that were left out."""
        every = [*kept, *left_out]
        return cls(
            labels=len(every),
            unstable=sum("unstable" in flags for flags in every),
            disturbed=sum("disturbed" in flags for flags in every),
            doubtful=sum(bool(flags & DOUBTS) for flags in every),
            untargeted=sum("untargeted" in flags and not flags & DOUBTS for flags in every),
            left_out=len(left_out),
        )

    def describe(self) -> str:
        """A sentence or two for a person."""
        kinds = f"{self.unstable} UNSTABLE, {self.disturbed} with too few undisturbed processes"
        if self.left_out:
            text = f"{self.left_out} of {self.labels} labels were left out: {kinds}."
        elif self.doubtful:
            text = f"{self.doubtful} of {self.labels} labels are doubtful and count all the same: {kinds}."
        else:
            text = f"None of {self.labels} labels is UNSTABLE or has too few undisturbed processes."
        if self.untargeted:
            text += (
                f" {self.untargeted} are of a fixed number of processes, their intervals held to no width."
            )
        return text


def describe_flags(count: FlagCount | None) -> str:
    """What is said of latency labels wherever they are fitted to or scored on."""
    if count is None:
        return "These labels do not say which of them are UNSTABLE or have too few undisturbed processes."
    return count.describe()


def flags_of(label: LatencyLabel) -> QualityFlags:
    """The quality flags of one label."""
    found: dict[QualityFlag, bool] = {
        "unstable": label.outcome is Outcome.UNSTABLE,
        "disturbed": label.too_few_undisturbed,
        "untargeted": label.target_half_width is None,
    }
    return frozenset(flag for flag, holds in found.items() if holds)


def flags_of_pass(result: ProcessResult) -> QualityFlags:
    """The quality flags of what one process of a pass beside the timed one measured."""
    return frozenset(("disturbed", "untargeted") if result.is_disturbed else ("untargeted",))


def write_flags(flags: QualityFlags) -> str:
    """A cell of a table: the flags in a fixed order, separated by semicolons."""
    return ";".join(flag for flag in ALL if flag in flags)


def read_flags(cell: str) -> QualityFlags:
    """What `write_flags` wrote; raises ValueError for anything else."""
    found = frozenset(flag for flag in ALL if flag in cell.split(";"))
    if write_flags(found) != cell:
        raise ValueError(f"{cell!r} are no quality flags of a label, which are {', '.join(ALL)}")
    return found
