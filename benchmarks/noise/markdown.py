"""The result of a noise study as tables of Markdown, for a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from noise.report import ROWS
from noise.table import NAMES, percent_words, plain_words, tau_words

HEAD = (
    "condition",
    "method",
    "s a model",
    "tau between passes",
    "repeat spread, %",
    "implied noise, %",
    "ceiling",
)
COMPARED = ("condition", "ours against", "by", "difference, points", "ratio", "at most a third")
CURVE = ("condition", "median of", "s a model", "repeat spread, %", "implied noise, %", "tau between passes")


def markdown_of(found: dict[str, Any]) -> Iterator[str]:
    """Three tables: the methods, their comparison, the curve of noise against cost."""
    conditions = found["conditions"].items()
    yield from _table(
        HEAD,
        (
            (
                f"{name}, {condition['passes']} passes",
                NAMES[method],
                f"{row['seconds_a_model']:.2f}",
                tau_words(row["tau_between_passes"]),
                percent_words(row["repeat_spread"]),
                percent_words(row["implied_noise"]),
                tau_words(row["ceiling"]),
            )
            for name, condition in conditions
            for method in ROWS
            for row in [condition["methods"][method]]
        ),
    )
    yield from _table(
        COMPARED,
        (
            (
                name,
                NAMES[method],
                measure.replace("_", " "),
                percent_words(each["difference"]),
                plain_words(each["ratio"]),
                each["at_most_a_third"],
            )
            for name, condition in conditions
            for method, compared in condition["ours_against"].items()
            for measure, each in compared.items()
        ),
    )
    yield from _table(
        CURVE,
        (
            (
                name,
                f"{point['size']} x {NAMES[point['method']]}",
                f"{point['seconds']:.2f}",
                percent_words(point["repeat_spread"]),
                percent_words(point["implied_noise"]),
                tau_words(point["tau_between_passes"]),
            )
            for name, condition in conditions
            for point in condition["curve"]
        ),
    )


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
