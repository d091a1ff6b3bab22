"""Architectures as rows of numbers: codes, indicators, values, and what the layer plan says of their work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import get_family, has_networks
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import INACTIVE, Architecture, Choice, Space, Variable
from hytnas_datasets.work import STAGE_COLUMNS, WORK, WORK_COLUMNS, sum_stages, tabulate_stages
from hytnas_predictors.errors import PredictorError

FeatureSet = Literal["ordinal", "one-hot", "numeric", "widths", "physical", "work"]
FEATURE_SETS: tuple[FeatureSet, ...] = get_args(FeatureSet)
OF_NETWORKS: Final[tuple[FeatureSet, ...]] = ("widths", "physical", "work")
"""The feature sets that need layer plans."""

MAX_NUMBER: Final = 1e300
"""Choices beyond are no numbers to compute with."""

TOTALS: Final = ("params", "macs", "activations")
PHYSICAL_WORK: Final = (
    "depthwise macs", "pointwise macs", "spatial macs", "grouped macs", "linear macs", "matmul macs",
    "silu written", "layer_norm written", "rearrange written", "resize written", "elementwise written",
    "concat written", "softmax written",
)  # fmt: skip
"""Work columns of the "physical" set: the arithmetic of operators that do some, the elements of others."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of some architectures.

    Attributes
    ----------
    x : (n, d) float64
    names : tuple of d str
    """

    x: NDArray[np.float64]
    names: tuple[str, ...]


def make_features(
    space: Space, architectures: Sequence[Architecture], task: Task, sets: Sequence[FeatureSet]
) -> FeatureTable:
    """The columns of the given feature sets, side by side; each row depends on its architecture alone.

    Raises
    ------
    PredictorError
        For unknown sets, for those of layer plans in a space that has none, and for "numeric" in one where no
        variable has numbers for choices.
    """
    if not sets:
        raise PredictorError("no feature set was chosen", f"Choose among {', '.join(FEATURE_SETS)}.")
    tables = [_builder(name, space)(space, architectures, task) for name in sets]
    return FeatureTable(
        np.hstack([table.x for table in tables]), tuple(name for table in tables for name in table.names)
    )


def usable_sets(space: Space, sets: Sequence[FeatureSet]) -> tuple[FeatureSet, ...]:
    """Those of ``sets`` that the space offers: some need layer plans, some numbers; "ordinal" if none is."""
    if not has_networks(space):
        sets = [name for name in sets if name not in OF_NETWORKS]
    if not _numeric_variables(space):
        sets = [name for name in sets if name != "numeric"]
    return tuple(sets) or ("ordinal",)


def physical_names(stage_names: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of the "physical" set, in order, for networks with these stages."""
    return (
        *(f"log {what}" for what in TOTALS),
        *(f"{stage} log {what}" for stage in stage_names for what in TOTALS),
        *(f"log {column}" for column in PHYSICAL_WORK),
        "layers",
    )


def _builder(name: FeatureSet, space: Space) -> Callable[[Space, Sequence[Architecture], Task], FeatureTable]:
    builders = {
        "ordinal": _ordinal, "one-hot": _one_hot, "numeric": _numeric, "widths": _widths,
        "physical": _physical, "work": _work,
    }  # fmt: skip
    if name not in builders:
        raise PredictorError(f"unknown feature set {name!r}", f"Choose among {', '.join(FEATURE_SETS)}.")
    if name in OF_NETWORKS and not has_networks(space):
        raise PredictorError(
            f"the space {space.name} has no layer plans, so no {name} features",
            "Use the feature sets ordinal, one-hot or numeric.",
        )
    if name == "numeric" and not _numeric_variables(space):
        raise PredictorError(
            f"no variable of the space {space.name} has numbers for choices, so it has no numeric features",
            "Use the feature sets ordinal or one-hot.",
        )
    return builders[name]


def _ordinal(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    del task
    return FeatureTable(space.encode(architectures).astype(np.float64), space.feature_names())


def _one_hot(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    del task
    names = tuple(f"{variable.name}={choice}" for variable in space.variables for choice in variable.choices)
    return FeatureTable(np.asarray(space.one_hot(architectures), dtype=np.float64), names)


def _numeric(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    """The numbers that were chosen, from 0 for the smallest to 1 for the greatest.

    They are on a logarithmic scale where that spaces the choices more evenly, as it does 256, 512, 1024. A
    variable that does not exist in every architecture is 0 where it does not, and has an indicator beside.
    """
    del task
    codes = space.encode(architectures)
    columns: list[NDArray[np.float64]] = []
    names: list[str] = []
    for place, variable in _numeric_variables(space):
        scale, choices = _evenly_scaled(variable.choices)
        code = codes[:, place]
        columns.append(np.where(code == INACTIVE, 0.0, choices[code]))
        names.append(f"{variable.name} {scale}")
        if variable.when is not None:
            columns.append((code != INACTIVE).astype(np.float64))
            names.append(f"{variable.name} exists")
    return FeatureTable(np.column_stack(columns), tuple(names))


def _numeric_variables(space: Space) -> list[tuple[int, Variable]]:
    """The variables whose choices are all numbers, with their places."""
    return [
        (place, variable)
        for place, variable in enumerate(space.variables)
        if all(not isinstance(choice, str) and abs(choice) <= MAX_NUMBER for choice in variable.choices)
    ]


def _evenly_scaled(choices: Sequence[Choice]) -> tuple[str, NDArray[np.float64]]:
    """Numbers between 0 and 1, and whether they are the values or their logarithms."""
    values = np.array(choices, dtype=np.float64)
    scales = {"value": values} | ({"logarithm": np.log(values)} if np.all(values > 0) else {})
    name = min(scales, key=lambda each: _unevenness(scales[each]))
    extent = np.ptp(scales[name])
    return name, (scales[name] - scales[name].min()) / (extent or 1.0)


def _unevenness(values: NDArray[np.float64]) -> float:
    """Standard deviation of the gaps between neighbours, over their mean; 0 for less than two gaps."""
    gaps = np.diff(np.sort(values))
    return float(np.std(gaps) / np.mean(gaps)) if len(gaps) > 1 else 0.0


def _widths(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    """Logarithms of the channels that the first convolution of each stage writes, and that the stage gives.

    A choice of a width is often a factor of the width before. Here is what comes of it.
    """
    stages = get_family(space.family).stages
    names = tuple(f"{stage} log {what}" for stage in stages for what in ("inner width", "width"))
    if not len(architectures):
        return FeatureTable(np.empty((0, len(names))), names)
    tables = tabulate_stages(space, architectures, task)
    return FeatureTable(np.log(np.hstack([table.widths for table in tables])), names)


def _physical(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    """Counts on the scale ``log(1 + count)``, in all and by stage, and the number of layers.

    Multiply-accumulates are told apart by kind of operator, because a small processor spends several times
    longer on one of a depth-wise convolution than on one of a matrix product; operators that have none, by
    the elements that they write.
    """
    names = physical_names(get_family(space.family).stages)
    if not len(architectures):
        return FeatureTable(np.empty((0, len(names))), names)
    tables = tabulate_stages(space, architectures, task)
    by_stage = [sum_stages([table], _TOTALS) for table in tables]
    of_network = sum_stages(tables, [*_PHYSICAL_WORK, _LAYERS])
    counted = np.hstack([sum(by_stage), *by_stage, of_network[:, :-1]])
    return FeatureTable(np.hstack([np.log1p(counted), of_network[:, -1:]]), names)


def _work(space: Space, architectures: Sequence[Architecture], task: Task) -> FeatureTable:
    """The work columns as they are: they add up over the operators of a network."""
    if not len(architectures):
        return FeatureTable(np.empty((0, len(WORK_COLUMNS))), WORK_COLUMNS)
    return FeatureTable(sum_stages(tabulate_stages(space, architectures, task), WORK), WORK_COLUMNS)


_TOTALS: Final = [STAGE_COLUMNS.index(name) for name in TOTALS]
_LAYERS: Final = STAGE_COLUMNS.index("layers")
_PHYSICAL_WORK: Final = [STAGE_COLUMNS.index(name) for name in PHYSICAL_WORK]
