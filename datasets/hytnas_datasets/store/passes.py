"""What the passes beside the timed one found: profiles, energy, latency under lasting load."""

import msgspec

from hytnas_agent.records import MeasurePass, Outcome, ProcessResult
from hytnas_datasets.plan import LayerPlan, build_plan
from hytnas_datasets.plan.profile import Breakdown, break_down
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store.architectures import Architectures
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.exports import Exports
from hytnas_datasets.store.records import ExportRecord
from hytnas_datasets.store.results import Results


class StoredPass(msgspec.Struct, frozen=True):
    """The result of a pass with the model it belongs to.

    ``architecture`` is ``None`` for a model file without a layer plan.
    """

    architecture: Architecture | None
    export: ExportRecord
    result: ProcessResult

    def plan(self) -> LayerPlan | None:
        """The layer plan of the model; None for a file from elsewhere. Raises PlanError, SpaceError."""
        if self.architecture is None or self.export.task is None:
            return None
        return build_plan(self.architecture, self.export.task)

    def breakdown(self) -> Breakdown | None:
        """Where the time goes, by stage where there is a plan; None for other passes than a profile."""
        return None if self.result.profile is None else break_down(self.result.profile, self.plan())


class Passes:
    """What the passes beside the timed one found; each stands under a purpose of its own name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, measure_pass: MeasurePass) -> list[StoredPass]:
        """The last good result of a pass for each model and device, in the order they were measured."""
        records = {record.sha256: record for record in Exports(self._database).all()}
        architectures = Architectures(self._database).by_plan()
        found: dict[tuple[str, str], StoredPass] = {}
        for stored in Results(self._database).all(measure_pass):
            if stored.result.outcome is Outcome.OK:
                record = records.get(stored.model_sha256)
                if record is None:  # its row cannot be read
                    continue
                key = (stored.model_sha256, stored.result.identity.device_id)
                found[key] = StoredPass(architectures.get(record.plan_hash or ""), record, stored.result)
        return list(found.values())
