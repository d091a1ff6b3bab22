"""What `predict FILE...` prints: the predictions, and the operators that they do not rest on labels for."""

from collections import Counter
from collections.abc import Mapping

from hytnas_host.cli.console import out, print_table
from hytnas_host.workflow.file_predictions import FilePredictions
from hytnas_predictors.graph_predictions import GraphExplanation, GraphPrediction

DEAREST = 10


def print_file_predictions(found: FilePredictions, title: str) -> None:
    """Print a row for each file, then what is charged for operators that were not seen or are not known."""
    print_table(
        title,
        ["file", found.info.target, "std", "outside training range"],
        [
            (path.name, f"{each.mean:.4g}", f"{each.std:.2g}", "yes" if each.extrapolated else "")
            for path, each in zip(found.files, found.predictions, strict=True)
        ],
    )
    _print_doubts({path.name: each for path, each in zip(found.files, found.predictions, strict=True)})


def print_file_explanation(name: str, found: GraphExplanation, title: str, unit: str) -> None:
    """Print what the kinds of operators of a file take together, its dearest operators, and the doubts."""
    kinds: dict[str, list[float]] = {}
    for node in found.nodes:
        kinds.setdefault(node.kind, []).append(node.cost)
    dearest = sorted(kinds, key=lambda kind: -sum(kinds[kind]))
    share = 100 / found.summed if found.summed > 0 else 0.0
    print_table(
        title,
        ["kind of operator", "operators", unit, "share"],
        [
            (kind, len(kinds[kind]), f"{sum(kinds[kind]):.3g}", f"{sum(kinds[kind]) * share:.0f}%")
            for kind in dearest
        ],
    )
    nodes = sorted(found.nodes, key=lambda node: -node.cost)[:DEAREST]
    print_table(
        f"the dearest operators of {name}",
        ["name", "operator", unit, "share"],
        [(node.name, node.operator, f"{node.cost:.3g}", f"{node.cost * share:.0f}%") for node in nodes],
    )
    out.print(
        f"The operators sum up to {found.summed:.4g} {unit}. Networks like this one take "
        f"{found.factor:.3f} times their sum: {found.prediction.mean:.4g} {unit}, with a standard deviation "
        f"of {found.prediction.std:.2g}{'; extrapolated' if found.prediction.extrapolated else ''}."
    )
    _print_doubts({name: found.prediction})


def _print_doubts(predictions: Mapping[str, GraphPrediction]) -> None:
    """Say what is charged for operators that were not seen or are not known."""
    unseen = {kind: like for each in predictions.values() for kind, like in each.unseen.items()}
    for kind, like in unseen.items():
        charged = f"charged like {like}" if like else "charged nothing"
        out.print(f"No label of the training has the kind of operator {kind}: {charged}.")
    for name, each in predictions.items():
        if each.unknown:
            counts = Counter(node.operator for node in each.unknown)
            listed = ", ".join(f"{count} {operator}" for operator, count in counts.items())
            out.print(
                f"{name} holds operators that are not known, and charged nothing: {listed} "
                f"(first: {each.unknown[0].name}).",
                highlight=False,
            )
    if unseen or any(each.unknown for each in predictions.values()):
        out.print("The standard deviation is larger for it. Measure some networks that have them, to know.")
