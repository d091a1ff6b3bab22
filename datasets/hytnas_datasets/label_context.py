"""What a label depends on besides its network: the task, the model files, the device and how it executed.

Labels of two contexts are never mixed, and a predictor holds for the context of its labels alone. One struct
goes whole from the study through labels, predictors, data sheets and leaderboards.
"""

from typing import Any

import msgspec

from hytnas_agent.records import DeviceContext, Execution
from hytnas_datasets.plan.task import Task

Differences = dict[str, tuple[Any, Any]]
"""The two values of each field that differs, by the name of the field."""


class ModelFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the measured model files were made."""

    format: str
    precision: str
    converter: str
    converter_version: str = ""


class LabelContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a label depends on besides its network.

    Attributes
    ----------
    task : Task
    model_files : ModelFiles or None
        What was measured; ``None`` where that is not known, and for labels of no device (accuracies).
    device : DeviceContext or None
        What measured; ``None`` where that is not known, and for labels of no device.
    """

    task: Task
    model_files: ModelFiles | None = None
    device: DeviceContext | None = None

    @property
    def execution(self) -> Execution:
        """How the device executed; it is shown wherever a latency is, in the words of ``EXECUTION_WORDS``."""
        return "native" if self.device is None else self.device.execution

    def fields(self) -> dict[str, Any]:
        """Every field by its name; those of a part that is not known are left out.

        A field of the device that model files have, too, is called e.g. "device precision".
        """
        found: dict[str, Any] = msgspec.structs.asdict(self.task)
        if self.model_files is not None:
            found |= msgspec.structs.asdict(self.model_files)
        if self.device is not None:
            for name, value in msgspec.structs.asdict(self.device).items():
                found[f"device {name}" if name in ModelFiles.__struct_fields__ else name] = value
        return found

    def differences(self, other: "LabelContext", /) -> Differences:
        """The fields that differ; one that only one of the two knows differs from ``None``."""
        ours, theirs = self.fields(), other.fields()
        return {
            name: (ours.get(name), theirs.get(name))
            for name in dict.fromkeys((*ours, *theirs))
            if ours.get(name) != theirs.get(name)
        }

    def conflicts(self, other: "LabelContext", /) -> Differences:
        """The fields in which the two contradict each other: what one of them does not know is no conflict.

        Two builds of one version of a converter (2.13.0+cpu, 2.13.0+cu130) do not differ.
        """
        ours, theirs = _known_fields(self), _known_fields(other)
        return {
            name: (ours[name], theirs[name]) for name in ours if name in theirs and ours[name] != theirs[name]
        }


def describe(differences: Differences) -> str:
    """One line for a person.

    >>> describe({"threads": (1, 4), "kernel": ("6.1", "7.0")})
    'threads: 1 / 4; kernel: 6.1 / 7.0'
    """
    return "; ".join(f"{name}: {one} / {other}" for name, (one, other) in differences.items())


def _known_fields(context: LabelContext) -> dict[str, Any]:
    """The fields, without what model files leave unsaid and without the build of the converter."""
    found = context.fields()
    if context.model_files is not None:
        found["converter_version"] = context.model_files.converter_version.partition("+")[0]
        unsaid = [name for name in ModelFiles.__struct_fields__ if not found[name]]
        for name in unsaid:
            del found[name]
    return found
