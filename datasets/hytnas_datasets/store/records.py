"""What a study keeps besides measurements: runs, exports, accuracies, failures."""

import hashlib
from enum import StrEnum
from typing import Any, Final

import msgspec

from hytnas_agent.records import ModelFormat, Reference
from hytnas_datasets.label_context import ModelFiles
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Architecture


class RunRecord(msgspec.Struct, frozen=True):
    """One command that wrote into the study.

    ``status`` is "running", "done", "failed", "interrupted", or "killed" for one whose process was gone when
    the next began; nobody saw its end, so ``ended_unix_s`` is None.
    """

    run_id: int
    command: str
    config: dict[str, Any]
    environment: dict[str, Any]
    status: str
    started_unix_s: float
    ended_unix_s: float | None


class ExportRecord(msgspec.Struct, frozen=True):
    """One model file. ``plan_hash`` and ``task`` are ``None`` for one that did not come from a layer plan.

    ``path`` is relative to the study's folder. ``parity_error`` is the largest absolute error against torch
    and ``output_spread`` the standard deviation of the outputs over inputs, both in the outputs' unit;
    ``correlation`` is that of a quantised model's outputs with torch's. ``names`` are those of the equal
    files elsewhere that it was copied from, ``shapes`` the shapes that inputs without fixed ones got.
    """

    sha256: str
    format: ModelFormat
    path: str
    size_bytes: int
    plan_hash: str | None = None
    task: Task | None = None
    precision: str = "fp32"
    opset: int | None = None
    converter: str = ""
    converter_version: str = ""
    parity_error: float | None = None
    output_spread: float | None = None
    correlation: float | None = None
    reference: Reference | None = None
    seconds: float | None = None
    names: tuple[str, ...] = ()
    shapes: dict[str, tuple[int, ...]] = {}

    @property
    def file_names(self) -> tuple[str, ...]:
        """``names``; studies of before have the name in the path alone, behind a part of the hash."""
        name = self.path.rpartition("/")[2]
        return self.names or (name.partition("-")[2] or name,)

    @property
    def shapes_text(self) -> str:
        """``shapes`` as an option takes them, one behind the other."""
        return " ".join(f"{name}:{','.join(map(str, shape))}" for name, shape in self.shapes.items())

    @property
    def model_files(self) -> ModelFiles:
        """How the file was made."""
        return ModelFiles(self.format, self.precision, self.converter, self.converter_version)


class CurvePoint(msgspec.Struct, frozen=True):
    """One epoch of a training: mean loss over its batches, and accuracy on the test split if it was taken."""

    epoch: int
    loss: float
    accuracy: float | None = None


class AccuracyRecord(msgspec.Struct, frozen=True):
    """One training of one network from one seed.

    ``accuracy`` is a fraction in [0, 1] on ``test_images`` images, or ``None`` where the training failed, and
    then ``failure`` says why. ``label`` says in words what the accuracy is an accuracy of.
    """

    architecture: Architecture
    plan_hash: str
    seed: int
    accuracy: float | None
    recipe: dict[str, Any]
    data_fingerprint: str
    task: Task
    epochs: int
    test_images: int
    curve: tuple[CurvePoint, ...] = ()
    seconds: float = 0.0
    label: str = ""
    failure: str = ""


class Purpose(StrEnum):
    """What an architecture was sampled for, and what results and labels were measured for.

    The purposes that are not fixed are those of a verification (`verification_purpose`) and of the passes
    beside the timed one, which are called like their pass.
    """

    LATENCY = "latency"
    """The study's own sample: what predictors learn latencies from."""
    CHOSEN = "chosen"
    """Those of the study's own sample that were chosen to tell much, and not drawn at random."""
    ACCURACY = "accuracy"
    """The networks that are trained."""
    CANARY = "canary"
    """The fixed network that shows drift of a device."""
    PICKS = "picks"
    """The picks of a search."""


def verification_purpose(search: str) -> str:
    """The purpose of measuring afresh what the search with this digest found."""
    return f"verify-{search[:8]}"


FORMER_SPEED: Final = "has another speed since"
"""With which the reason ends for which the canaries of a former speed are discarded."""


class DiscardRecord(msgspec.Struct, frozen=True):
    """A stored result that is to stand in no label, why, and when that was found (by the host's clock)."""

    job_id: str
    reason: str
    at_unix_s: float

    @property
    def of_former_speed(self) -> bool:
        """Whether it is a canary that was well, but whose device has had another speed since."""
        return self.reason.endswith(FORMER_SPEED)


class FailureRecord(msgspec.Struct, frozen=True):
    """Something outside a measurement that did not work: ``stage`` is e.g. "export", ``subject`` a hash."""

    stage: str
    subject: str
    message: str
    at_unix_s: float
    run_id: int | None = None


def recipe_fingerprint(recipe: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a recipe in canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(recipe, order="sorted")).hexdigest()[:16]
