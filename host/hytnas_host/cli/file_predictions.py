"""What `predict FILE...` prints: the predictions, and the operators that they do not rest on labels for."""

from collections import Counter

from hytnas_host.cli.console import out, print_table
from hytnas_host.workflow.file_predictions import FilePredictions


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
    unseen = {kind: stand_in for each in found.predictions for kind, stand_in in each.unseen.items()}
    for kind, stand_in in unseen.items():
        charged = f"charged like {stand_in}" if stand_in else "charged nothing"
        out.print(f"No label of the training has the kind of operator {kind}: {charged}.")
    for path, each in zip(found.files, found.predictions, strict=True):
        if each.unknown:
            counts = Counter(node.operator for node in each.unknown)
            names = ", ".join(f"{count} {operator}" for operator, count in counts.items())
            out.print(
                f"{path.name} holds operators that are not known, and charged nothing: {names} "
                f"(first: {each.unknown[0].name}).",
                highlight=False,
            )
    if unseen or any(each.unknown for each in found.predictions):
        out.print("The standard deviation is larger for it. Measure some networks that have them, to know.")
