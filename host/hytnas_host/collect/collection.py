"""The core of every collection: windows of models, prepared and measured, with the canary between."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hytnas_agent.records import DeviceContext
from hytnas_datasets.store import Study
from hytnas_host.collect.canary import CANARY_PURPOSE
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.jobs import Journal
from hytnas_host.collect.measuring import Measurer, Model
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.summary import CollectionSummary
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.progress import ProgressFactory, SilentProgress

# Gives the models of one window, exporting them if need be.
Window = Callable[[], list[Model]]


@dataclass(frozen=True)
class Source:
    """Where the models of a collection come from.

    Attributes
    ----------
    windows : sequence of Window
    models : int
        How many there are in all.
    known : sequence of str
        Hashes of those that the study holds already, of which results may be stored.
    canary : Window
        Gives the canary, or nothing.
    cancel : callable
        Makes a window that is being prepared in another thread end soon.
    """

    windows: Sequence[Window]
    models: int
    known: Sequence[str]
    canary: Window
    cancel: Callable[[], None]


@dataclass(frozen=True)
class Collected:
    """A finished collection: its measuring stage with counts and labels, and how long it took."""

    purpose: str
    measurer: Measurer
    seconds: float

    def summary(self, models: int, *, failed_exports: int, export_s: float) -> CollectionSummary:
        """The counts as a value."""
        tally = self.measurer.tally
        outcomes = Counter(label.outcome.value for label in self.measurer.labels.values())
        return CollectionSummary(
            purpose=self.purpose,
            models=models,
            outcomes=dict(outcomes),
            failed_exports=failed_exports,
            measured_jobs=tally.measured_jobs,
            resumed_jobs=tally.resumed_jobs,
            canaries=tally.canaries,
            export_s=export_s,
            measure_s=tally.measure_s,
            seconds=self.seconds,
        )


def collect(
    study: Study,
    devices: Sequence[Device],
    source: Source,
    options: MeasureOptions,
    *,
    purpose: str,
    progress: ProgressFactory = SilentProgress,
) -> Collected:
    """Measure every model of the source as the options say, whatever of it is not in the study yet.

    ``purpose`` is what the labels are for; results of one purpose never count for another.

    On a device of its own, the next window is prepared while one is measured; where the device shares the
    processor, they take turns.

    Raises
    ------
    CollectError
        There is not exactly one device.
    DeviceError
        The device is busy or not reachable, or its context changed.
    StudyError
        The study cannot be written. What had been measured is in the agent's journal and is fetched from
        there next time.
    """
    started_s = time.monotonic()
    if len(devices) != 1:
        raise CollectError(f"{len(devices)} devices were given", "give one")
    device = devices[0]
    device.acquire(f"{purpose}: {source.models} models for {study.folder.name}")
    try:
        measurer, ours = _begin(study, device, source, options, purpose)
        total = source.models * (options.processes + 1)
        done = sum(ours.count_settled(sha256) for sha256 in source.known)
        with progress(f"Measuring on {device.name}", total, min(done, total)) as bar:
            for number, models in enumerate(_prepared(source, ahead=not device.shares_processor)):
                bar.note(
                    f"{min((number + 1) * options.window, source.models)} of {source.models} models exported"
                )
                measurer.measure_window(models, np.random.default_rng([options.seed, number]), bar)
    finally:
        device.release()
    return Collected(purpose, measurer, time.monotonic() - started_s)


def require_runtime(device: str, context: DeviceContext, /) -> None:
    """Raise DeviceError where the device has no runtime to measure with."""
    if context.runtime in ("", "none"):
        raise DeviceError(
            f"device {device!r} has no runtime installed that works",
            "install one there with: pip install 'hytnas[onnx]', and check it with: hytnas-agent describe",
        )


def _begin(
    study: Study, device: Device, source: Source, options: MeasureOptions, purpose: str
) -> tuple[Measurer, Journal]:
    """The measuring stage and its journal, for the device as it describes itself now."""
    description = device.describe(runtime=options.runtime, threads=options.settings.threads)
    require_runtime(device.name, description.context)
    study.add_device(description)
    ours, canaries = (
        Journal(study, purpose, description.identity.device_id, description.context, options.settings)
        for purpose in (purpose, CANARY_PURPOSE)
    )
    models = source.canary() if options.canary_every else []
    measurer = Measurer(
        study,
        device,
        ours,
        canaries,
        processes=options.processes,
        canary=models[0] if models else None,
        canary_every=options.canary_every,
        runtime=options.runtime,
    )
    return measurer, ours


def _prepared(source: Source, *, ahead: bool) -> Iterator[list[Model]]:
    """Each window's models; with ``ahead`` the next window is prepared in a thread meanwhile."""
    if not ahead:
        yield from (window() for window in source.windows)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as thread:
        try:
            upcoming = [thread.submit(window) for window in source.windows[:1]]
            for window in (*source.windows[1:], None):
                models = upcoming.pop().result()
                if window is not None:
                    upcoming.append(thread.submit(window))
                yield models
        except BaseException:
            source.cancel()
            raise
