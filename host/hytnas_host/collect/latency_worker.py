"""One device of a collection: opened, measuring, lost and back again; and devices that share a data set."""

import time
from dataclasses import dataclass, field

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceContext, MeasureSettings, ModelFormat
from hytnas_datasets.store import Study
from hytnas_host.collect.errors import NoRuntimeError
from hytnas_host.collect.journals import Journals
from hytnas_host.collect.measuring import Measurer
from hytnas_host.collect.running import check_same_board, check_same_context
from hytnas_host.collect.summary import DeviceShare
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.export.target import ModelKind


@dataclass
class LatencyWorker:
    """A device with all that a collection knows about it.

    Attributes
    ----------
    device : Device
    reason : str
        Why it is held, as others are told.
    runtime : str or None
    settings : MeasureSettings
    kind : ModelKind
        Of the models it measures.
    description : DeviceDescription
        As it described itself when the collection began.
    measurer : Measurer
    models : int
        Labelled on it.
    given_back, rejoined : int
        Models it could not finish, and how often it came back.
    lost : str
        Why it does not measure now; empty while it does.
    remedy : str or None
        What a person can do about that.
    pending : DeviceError or None
        That it was lost before its part of the work began.
    attempts : int
        To have it back, since it last measured something.
    jobs_at_rejoin : int
        What it had measured when it last came back.
    """

    device: Device
    reason: str
    runtime: str | None
    settings: MeasureSettings
    kind: ModelKind
    description: DeviceDescription = field(init=False)
    measurer: Measurer = field(init=False)
    models: int = 0
    given_back: int = 0
    rejoined: int = 0
    lost: str = ""
    remedy: str | None = None
    pending: DeviceError | None = None
    attempts: int = 0
    jobs_at_rejoin: int = -1
    began_s: float = 0.0
    ended_s: float = 0.0
    measured_before_s: float = 0.0

    @property
    def name(self) -> str:
        """What the person calls it."""
        return self.device.name

    @property
    def device_id(self) -> str:
        """Which device it is."""
        return self.description.identity.device_id

    @property
    def context(self) -> DeviceContext:
        """What its labels depend on."""
        return self.description.context

    @property
    def running(self) -> str | None:
        """The job that it measures now; None between two, and before it is opened."""
        measurer: Measurer | None = getattr(self, "measurer", None)
        return measurer.running if measurer is not None else None

    def open(self, study: Study) -> None:
        """Take the device, let it describe itself, and record that.

        Raises
        ------
        DeviceError
            It is busy or not reachable, or has no runtime that works.
        """
        self.description = self._arrive()
        require_runtime(self.name, self.context, self.kind.format)
        study.devices.add(self.description, name=self.name)

    def rejoin(self, models: list[str]) -> None:
        """Take the device again after it was lost, and fetch what it measured of ``models`` meanwhile.

        Raises
        ------
        ContextChangedError
            It is no longer what it was, or another device.
        DeviceError
            It is still lost.
        """
        found = self._arrive()
        check_same_board(self.name, found.identity.device_id, self.device_id)
        check_same_context(self.name, found.context, self.context)
        self.measurer.fetch(models)
        self.measurer.canary_is_due()
        self.lost = ""
        self.rejoined += 1
        self.jobs_at_rejoin = self.measurer.tally.measured_jobs

    def begin(self) -> None:
        """Its part of the work begins."""
        self.began_s = self.ended_s = time.monotonic()
        self.measured_before_s = self.measurer.measure_s

    def end(self) -> None:
        """It has done something; its part of the work may end here."""
        self.ended_s = time.monotonic()

    def share(self) -> DeviceShare:
        """What it did."""
        tally = self.measurer.tally
        seconds = self.ended_s - self.began_s
        measure_s = self.measurer.measure_s - self.measured_before_s
        return DeviceShare(
            device=self.name,
            device_id=self.device_id,
            models=self.models,
            jobs=tally.measured_jobs,
            fetched_jobs=tally.fetched,
            canaries=tally.canaries,
            measure_s=measure_s,
            seconds=seconds,
            busy_share=measure_s / seconds if seconds > 0 else None,
            given_back=self.given_back,
            rejoined=self.rejoined,
            lost=self.lost,
            disturbed=tally.disturbed,
            ended_early=tally.pace.early,
            usable_share=tally.pace.usable_share,
            drifts=self.measurer.guard.drifts,
            discarded=self.measurer.guard.discarded,
            canary_failures=self.measurer.guard.failures,
            canary_failure=self.measurer.guard.failure,
        )

    def _arrive(self) -> DeviceDescription:
        self.device.acquire(self.reason)
        with self.device.quiet():  # its probes would disturb a timed run of another device of this machine
            return self.device.describe(
                runtime=self.runtime,
                threads=self.settings.threads,
                model_format=self.kind.format,
                precision=self.kind.precision,
            )


@dataclass(frozen=True)
class Group:
    """Devices whose labels go into one set, what that set has already, and the hash of their canary."""

    workers: tuple[LatencyWorker, ...]
    journals: Journals
    canary: str | None


def require_runtime(device: str, context: DeviceContext, model_format: ModelFormat = "onnx", /) -> None:
    """Raise NoRuntimeError where the device has no runtime to measure such models with."""
    if context.runtime in ("", "none"):
        extra = {"onnx": "onnx", "tflite": "litert"}[model_format]
        raise NoRuntimeError(
            f"device {device!r} has no runtime installed that works and runs {model_format} files",
            f"install one there, on an enrolled board with: hytnas-profile device provision, else with: "
            f"pip install 'hytnas[{extra}]', and look with: hytnas-agent describe",
        )
