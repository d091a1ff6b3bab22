"""What one collection came to."""

import msgspec


class CollectionSummary(msgspec.Struct, frozen=True):
    """Counts and times of one collection; earlier, resumed parts are in ``outcomes`` but not in the seconds.

    Attributes
    ----------
    purpose : str
    models : int
        Models asked for.
    outcomes : dict
        How many models ended with each outcome.
    failed_exports : int
        Models that could not be exported (see the study's failures).
    measured_jobs, resumed_jobs : int
        Processes measured now, and those found stored already.
    export_s, measure_s, seconds : float
        Time spent waiting for exports, in measurements, and in all.
    """

    purpose: str
    models: int
    outcomes: dict[str, int]
    failed_exports: int
    measured_jobs: int
    resumed_jobs: int
    canaries: int
    export_s: float
    measure_s: float
    seconds: float

    def describe(self) -> str:
        """One line for a person."""
        endings = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        lost = f", {self.failed_exports} not exported" if self.failed_exports else ""
        resumed = f" ({self.resumed_jobs} were there already)" if self.resumed_jobs else ""
        return (
            f"{self.models} models: {endings or 'none measured'}{lost}; {self.measured_jobs} processes "
            f"measured{resumed} in {self.seconds:.0f} s (export {self.export_s:.0f} s, "
            f"measure {self.measure_s:.0f} s)"
        )
