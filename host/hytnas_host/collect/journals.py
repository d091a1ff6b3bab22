"""What a collection has behind it, over all the devices whose labels may stand in one set."""

from collections.abc import Iterable

from hytnas_agent.label import aggregate
from hytnas_agent.records import DeviceContext, LatencyLabel, MeasurePass, MeasureSettings
from hytnas_datasets.store import Study
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.schedule import Passes


class Journals:
    """The journals of one purpose and one context, by device; those of devices of earlier calls included.

    Each device's journal is written by that device's thread alone; a model's entries are read by others only
    while no device measures it.

    Parameters
    ----------
    study : Study
    purpose : str
    context : DeviceContext
    settings : MeasureSettings
    passes : Passes
    devices : iterable of str
        Device ids of the devices that take part.
    alone : bool
        Leave out the devices of earlier calls.
    """

    def __init__(
        self,
        study: Study,
        purpose: str,
        context: DeviceContext,
        settings: MeasureSettings,
        *,
        passes: Passes,
        devices: Iterable[str],
        alone: bool,
    ) -> None:
        self.labels: dict[str, LatencyLabel] = {}
        self.passes = passes
        self.purpose = purpose
        self._study = study
        stored = study.results.by_model(purpose)
        earlier = (
            result.identity.device_id
            for results in stored.values()
            for _, result in results
            if not alone and result.context is not None and result.context == context
        )
        present = list(devices)
        self.by_device: dict[str, JobJournal] = {}
        for device_id in dict.fromkeys((*present, *earlier)):
            journal = JobJournal(study, purpose, device_id, context, settings, stored=stored)
            if device_id in present or not journal.empty:
                self.by_device[device_id] = journal

    def done_on(self, model_sha256: str) -> str | None:
        """The device on which nothing of the model is left to measure, if there is one."""
        for device_id, journal in self.by_device.items():
            if journal.complete(model_sha256, self.passes):
                return device_id
        return None

    def begun_on(self, model_sha256: str) -> str | None:
        """The device on which most of the model's processes are measured, if any is."""
        counts = {
            device_id: journal.count_settled(model_sha256, self.passes)
            for device_id, journal in self.by_device.items()
        }
        device = max(counts, key=lambda device_id: counts[device_id])
        return device if counts[device] else None

    def count_settled(self, model_sha256: str) -> int:
        """How many of the model's processes are measured, on the device that has most of them."""
        return max(j.count_settled(model_sha256, self.passes) for j in self.by_device.values())

    def progress(self, model_sha256: str) -> int:
        """Of the processes that a model takes at least, how many are over on the device that has most."""
        return max(journal.progress(model_sha256, self.passes) for journal in self.by_device.values())

    def label(self, model_sha256: str, device_id: str) -> None:
        """Make the model's label of what that device measured, and store it, if a timed process ended."""
        journal = self.by_device[device_id]
        results = journal.last_attempts(model_sha256)
        if not any(result.measure_pass == MeasurePass.TIMED for result in results):
            return
        known = any(result.context is not None for result in results)
        self.labels[model_sha256] = aggregate(results, self.passes.rule)
        self._study.labels.add(
            self.labels[model_sha256], journal.purpose, device_id, journal.context if known else None
        )
