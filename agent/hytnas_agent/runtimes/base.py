"""The interface every runtime is put behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from hytnas_agent.errors import AgentError
from hytnas_agent.pass_records import OperatorProfile
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import ModelFormat, Outcome

if TYPE_CHECKING:
    from hytnas_agent.runtimes.arrays import Array


class RuntimeFailure(AgentError):
    """A runtime refused a model. ``outcome`` is INVALID_MODEL, UNSUPPORTED or OOM."""

    def __init__(self, outcome: Outcome, what: str) -> None:
        super().__init__(what)
        self.outcome = outcome


@dataclass(frozen=True)
class TensorSpec:
    """An input of a model: its name, its shape with the batch at 1, and its numpy data type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class LoadedModel(Protocol):
    """A model that is ready to run."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs in the model's order."""
        ...

    def run(self, tensors: "list[Array]") -> "list[Array]":
        """One inference: input tensors in the order of ``inputs``, output tensors in the model's order.

        An output that cannot become an array (bfloat16, a ragged sequence) is given as the runtime holds it.

        Raises
        ------
        RuntimeFailure
            If the runtime cannot compute the model.
        """
        ...


class ProfiledModel(LoadedModel, Protocol):
    """A model whose operators are timed one by one, which makes it slower as a whole."""

    def end_profile(self, skip_runs: int) -> OperatorProfile:
        """The times of the operators over all runs but the first ``skip_runs``; the model is not run again.

        Raises
        ------
        RuntimeFailure
            UNSUPPORTED, if the runtime's account cannot be used.
        """
        ...


class Runtime(Protocol):
    """A runtime, imported when its class is instantiated."""

    @property
    def tiny_model(self) -> bytes:
        """A file of one node, to try the runtime with: ``y = relu(x)``."""
        ...

    def info(self) -> RuntimeInfo:
        """Name, version and build of the imported runtime."""
        ...

    def load(self, path: Path, *, threads: int) -> LoadedModel:
        """Load a model file for exactly ``threads`` threads on the CPU.

        Raises
        ------
        RuntimeFailure
            If the file is no model of this format, or needs what the runtime does not have.
        """
        ...

    def load_profiled(self, path: Path, *, threads: int, folder: Path) -> ProfiledModel:
        """Load a model file with the runtime's profiler on, which may write files into ``folder``.

        Raises
        ------
        RuntimeFailure
            As ``load``; UNSUPPORTED, where the runtime has no profiler.
        """
        ...


@dataclass(frozen=True)
class RuntimeEntry:
    """What is known of a runtime before it is imported; what the registry of runtimes holds.

    Parameters
    ----------
    target : str
        ``module:Class`` of the adapter.
    distribution : str
        The package that holds the runtime, as pip names it.
    formats : tuple of str
        The model formats it runs.
    extra : str
        The extra of ``hytnas`` that installs it; empty for a runtime that another package brings.
    module : str
        A module of the runtime by which one sees that it is not installed, without importing it; empty where
        the adapter has to be imported to find out.
    """

    target: str
    distribution: str
    formats: tuple[ModelFormat, ...]
    extra: str = ""
    module: str = ""


_HINT: Final = "export with static shapes, or let the host fix them (collect latency --models --shape)"


def fix_shape(name: str, shape: "list[int | str | None] | None") -> tuple[int, ...]:
    """A model's declared input shape with a free batch axis set to 1; ``None`` for a shape that is absent.

    Raises
    ------
    RuntimeFailure
        UNSUPPORTED, if the shape is absent or another axis is free: a latency needs one size. Or if a
        dimension is 0, so that nothing is computed.
    """
    if shape is None:
        raise RuntimeFailure(Outcome.UNSUPPORTED, f"input {name!r} has no shape: {_HINT}")
    if 0 in shape:
        raise RuntimeFailure(
            Outcome.UNSUPPORTED,
            f"input {name!r} has a dimension of 0 ({', '.join(map(str, shape))}), so nothing is computed: "
            "export with another size",
        )
    fixed = [dim if isinstance(dim, int) and dim > 0 else None for dim in shape]
    if fixed and fixed[0] is None:
        fixed[0] = 1
    if None in fixed:
        free = ", ".join(str(dim) for dim, known in zip(shape, fixed, strict=True) if known is None)
        raise RuntimeFailure(
            Outcome.UNSUPPORTED,
            f"input {name!r} has free dimensions besides the batch ({free}): {_HINT}",
        )
    return tuple(dim for dim in fixed if dim is not None)
