"""A model that can be measured, and the jobs that measure it."""

from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from hytnas_agent.records import MeasureJob, MeasurePass, ModelFormat, Reference
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.schedule import Slot


@dataclass(frozen=True)
class Model:
    """A model file ready to be measured; ``reference`` names the files its outputs are held to."""

    sha256: str
    format: ModelFormat
    path: Path
    reference: Reference | None = None
    inputs_file: Path | None = None
    outputs_file: Path | None = None

    @property
    def files(self) -> list[tuple[Path, str]]:
        """Each file that the device needs, with the hash that it must have."""
        found = [(self.path, self.sha256)]
        if self.reference is not None and self.inputs_file is not None and self.outputs_file is not None:
            found += [
                (self.inputs_file, self.reference.inputs_sha256),
                (self.outputs_file, self.reference.outputs_sha256),
            ]
        return found

    def job(
        self, journal: JobJournal, slot: Slot, runtime: str | None, *, may_end_early: bool = False
    ) -> MeasureJob:
        """The next attempt at one of its processes; it may end early if that is said and another follows."""
        early = may_end_early and slot.measure_pass == MeasurePass.TIMED and journal.measured_again(slot)
        return MeasureJob(
            job_id=journal.job_id(slot),
            model_sha256=self.sha256,
            format=self.format,
            settings=journal.settings,
            measure_pass=slot.measure_pass,
            runtime=runtime,
            reference=self.reference,
            may_end_early=True if early else UNSET,
        )
