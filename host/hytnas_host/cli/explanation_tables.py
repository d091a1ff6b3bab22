"""What `predict --explain` prints: a network's stages, and the costs that a predictor learned."""

from collections.abc import Sequence

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import get_target
from hytnas_host.cli.console import out, print_table
from hytnas_predictors.explanation import UNIT_WORDS, Explanation, UnitCost

LARGEST_KINDS = 3


def print_explanation(found: Explanation, costs: Sequence[UnitCost]) -> None:
    """Print the stages of one network, then what one unit of each kind of work costs."""
    target = get_target(found.target)
    executed = f", {EXECUTION_WORDS[found.execution]}" if target.of_device else ""
    print_table(
        f"{target.words} of {found.architecture}, stage by stage{executed}",
        ["stage", found.unit, "share", "most of it"],
        [
            (stage.stage, f"{stage.cost:.3g}", f"{stage.cost / found.summed:.0%}", _largest(stage.by_kind))
            for stage in found.stages
        ],
    )
    out.print(
        f"The stages sum up to {found.summed:.4g} {found.unit}. Networks like this one take "
        f"{found.factor:.3f} times their sum: {found.predicted:.4g} {found.unit}, with a standard deviation "
        f"of {found.std:.2g}{'; extrapolated' if found.extrapolated else ''}."
    )
    small, unit = _small_unit(found.unit)
    print_table(
        f"what one unit of work costs, with its 95 % interval{executed}",
        ["kind of operator", "unit of work", unit, "interval"],
        [
            (
                cost.kind,
                UNIT_WORDS[cost.quantity],
                _number(cost.cost * small),
                f"{_number(cost.low * small)} to {_number(cost.high * small)}",
            )
            for cost in costs
        ],
    )
    out.print(
        "Kinds of work that come together in all measured networks share a cost that the labels cannot "
        "divide: read those of one kind of operator as a sum."
    )


def _largest(by_kind: dict[str, float]) -> str:
    total = sum(by_kind.values())
    largest = sorted(by_kind, key=lambda kind: -by_kind[kind])[:LARGEST_KINDS]
    return ", ".join(f"{kind} {by_kind[kind] / total:.0%}" for kind in largest)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _small_unit(unit: str) -> tuple[float, str]:
    """The factor to a unit that is handy for one unit of work, and its name."""
    return {"ms": (1e6, "ns"), "mJ": (1e6, "nJ")}.get(unit, (1.0, unit))
