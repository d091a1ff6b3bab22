"""What a label is worth of which few processes were undisturbed, by how it is made of them.

Of a noise study's journals (``noise_study.py``) every label's attempts, those of the toolkit's method, are
cut into stretches of 3, 5 and 8, one after the other, as if the device had allowed no more. Of the stretches
with none, one or two undisturbed attempts, and two disturbed ones at least, a label is made

- of the undisturbed alone, or of the fastest where there is none, as the toolkit does;
- of the undisturbed, made up to three with the fastest of the others;
- of all;

each time the median. Reported is how far it is from the mean (of the logarithm) of the labels that the other
passes of the same journal came to: the root mean square, and the share that is more than 5 % off. The mean
has noise of its own, some tenths of a percent.

    python benchmarks/few_undisturbed.py [JOURNAL ...] [--from-repeat 1] [--json FILE]
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from noise.journal import Journal
from noise.methods import CONDITIONS
from noise.report import ended_repeats, labels_of
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PUBLISHED = Path(__file__).parent / "noise" / "published"
STRETCHES = (3, 5, 8)
FEW = (0, 1, 2)
OFF = 0.05
WAYS: dict[str, Callable[[list[float], list[float]], Any]] = {
    "the undisturbed, or the fastest": lambda good, others: np.median(good or others[:1]),
    "made up to three": lambda good, others: np.median([*good, *others[: 3 - len(good)]]),
    "all": lambda good, others: np.median([*good, *others]),
}
"""The label of undisturbed attempts and of the others, those with the fastest first."""


def elsewhere(journal: Journal) -> dict[tuple[str, int, str], float]:
    """By condition, repeat and model: the mean logarithm of its labels in all other passes."""
    assert journal.header is not None
    places, logs = [], []
    for condition in CONDITIONS:
        rows = labels_of(journal, journal.header, condition, ["ours"])["ours"]
        for number, repeat in enumerate(ended_repeats(journal, condition)):
            places.append((condition, repeat))
            labels = [row[number] for row in rows]
            logs.append([np.nan if each is None else np.log(each.latency_ms) for each in labels])
    passes = np.array(logs)
    found = {}
    for number, (condition, repeat) in enumerate(places):
        means = np.delete(passes, number, axis=0).mean(axis=0)
        for model, value in zip(journal.header.models, means, strict=True):
            found[condition, repeat, model] = float(value)
    return found


def stretches(journal: Journal, first: int) -> Iterator[tuple[float, list[float], list[float]]]:
    """(logarithm of the label elsewhere, medians of the undisturbed, those of the others in order).

    Of repeat ``first`` and those after it, counted from 0; elsewhere are the earlier ones, too.
    """
    truth = elsewhere(journal)
    attempts: dict[tuple[str, int, str], list[tuple[bool, float]]] = defaultdict(list)
    for each in journal.processes:
        place = (each.condition, each.repeat, each.model)
        known = np.isfinite(truth.get(place, np.nan))
        if each.method == "ours" and each.repeat >= first and each.samples_ms and known:
            attempts[place].append((each.usable, float(np.median(each.samples_ms))))
    for place, every in attempts.items():
        for size in STRETCHES:
            for start in range(0, len(every) - size + 1, size):
                stretch = every[start : start + size]
                good = [value for usable, value in stretch if usable]
                others = sorted(value for usable, value in stretch if not usable)
                yield truth[place], good, others


def worth(journals: Sequence[Journal], first: int = 0) -> list[dict[str, Any]]:
    """A row for each number of undisturbed attempts and way of making the label; see ``stretches``."""
    errors: dict[tuple[int, str], list[float]] = defaultdict(list)
    for journal in journals:
        for truth, good, others in stretches(journal, first):
            if len(good) in FEW and len(others) >= 2:
                for name, way in WAYS.items():
                    errors[len(good), name].append(float(np.log(way(good, others))) - truth)
    return [
        {
            "undisturbed": few,
            "label_of": name,
            "stretches": len(errors[few, name]),
            "rms": float(np.sqrt(np.mean(np.square(errors[few, name])))),
            "off": float(np.mean(np.abs(errors[few, name]) > OFF)),
        }
        for few in FEW
        for name in WAYS
        if errors[few, name]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("journal", type=Path, nargs="*", help="those behind the documented study by default")
    parser.add_argument(
        "--from-repeat",
        type=int,
        default=1,
        metavar="N",
        help="the labels of this repeat and those after it only, counted from 1 as the study does",
    )
    parser.add_argument("--json", type=Path, help="the figures")
    options = parser.parse_args()
    paths = options.journal or sorted(PUBLISHED.glob("*.jsonl.xz"))
    if missing := [path for path in paths if not path.is_file()]:
        raise SystemExit(f"there is no journal {missing[0]}")
    with ExitStack() as opened:
        journals = [opened.enter_context(Journal(path, writable=False)) for path in paths]
        if any(len(journal.blocks) < 2 for journal in journals):
            raise SystemExit("a journal needs two passes that have ended")
        rows = worth(journals, options.from_repeat - 1)
    if not rows:
        raise SystemExit(f"no label from repeat {options.from_repeat} on has few undisturbed processes")
    print(f"{'undisturbed':>11}  {'label of':31} {'stretches':>9} {'rms, %':>7} {'off by more than 5 %':>21}")
    for row in rows:
        print(
            f"{row['undisturbed']:11d}  {row['label_of']:31} {row['stretches']:9d} {100 * row['rms']:7.1f} "
            f"{row['off']:21.0%}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
