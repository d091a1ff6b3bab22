"""What measuring the passes beside the timed one came to, for a person and a program."""

from collections.abc import Sequence

import msgspec

from hytnas_agent.records import EXECUTION_WORDS, Execution, MeasurePass
from hytnas_host.collect.errors import DevicesLostError


class PassCount(msgspec.Struct, frozen=True):
    """What one pass came to.

    Attributes
    ----------
    measure_pass : str
    measured, resumed : int
        Processes measured now, and those found stored already.
    outcomes : dict
        How many of both ended with each outcome.
    said : str
        What the device said where it could not do the pass.
    disturbed : int
        How many of those that went well something disturbed, after up to three attempts (of a lasting load
        after one).
    disturbed_by : tuple of str
        By what, each reason once.
    """

    measure_pass: MeasurePass
    measured: int
    resumed: int
    outcomes: dict[str, int]
    said: str = ""
    disturbed: int = 0
    disturbed_by: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for a person."""
        endings = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        resumed = f" ({self.resumed} were there already)" if self.resumed else ""
        said = f": {self.said}" if self.said else ""
        disturbed = f"; {self.disturbed} DISTURBED: {'; '.join(self.disturbed_by)}" if self.disturbed else ""
        return (
            f"{self.measure_pass}: {self.measured} processes measured{resumed}; {endings or 'none'}{said}"
            f"{disturbed}"
        )


class PassSummary(msgspec.Struct, frozen=True):
    """What measuring passes on a device came to, pass by pass, and how it ran them.

    Attributes
    ----------
    models : int
    device, device_id : str
        What the person calls it, and which device it is; the latter is empty where it was never reached.
    passes : tuple of PassCount
    executions : tuple of Execution
    lost : str
        Why it did not come to its end; empty where it did.
    """

    models: int
    device: str
    passes: tuple[PassCount, ...]
    executions: tuple[Execution, ...]
    device_id: str = ""
    lost: str = ""

    def describe(self) -> str:
        """A line for the models, one for each pass, and one where it was no real board, or was lost."""
        lines = [f"{self.models} models on {self.device}"]
        lines += [f"  {count.describe()}" for count in self.passes]
        if any(execution != "native" for execution in self.executions):
            lines.append(f"  {' and '.join(EXECUTION_WORDS[execution] for execution in self.executions)}")
        if self.lost:
            lines.append(f"  lost before the end: {self.lost}")
        return "\n".join(lines)


def check_lost(summaries: Sequence[PassSummary], /) -> None:
    """Raise DevicesLostError, an error of devices, where one was lost before it came to its end."""
    lost = [summary for summary in summaries if summary.lost]
    if lost:
        raise DevicesLostError(
            f"{len(lost)} of {len(summaries)} devices did not come to the end "
            f"({'; '.join(f'{summary.device}: {summary.lost}' for summary in lost)})",
            "see to that, then run the same command again: it goes on where it was",
        )
