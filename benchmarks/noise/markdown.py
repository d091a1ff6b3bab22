"""The result of a noise study as tables of Markdown, for a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from noise.report import ROWS
from noise.table import (
    AIM_WORDS,
    CALM_WORDS,
    MEASURED,
    NAMES,
    percent_words,
    plain_words,
    share_words,
    tau_words,
)

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
WEATHER = (
    "condition",
    "the machine during",
    "processes",
    "seconds",
    "stolen from timed runs, %",
    "hog on its core, %",
    "disturbed",
    "by",
)
CALMNESS = (
    "condition",
    "our passes, by the scatter of processes within a label",
    "passes",
    "scatter, %",
    "tau between them",
    AIM_WORDS,
)
LABELS = (
    "condition",
    "processes a label",
    "disturbed attempts a label",
    "UNSTABLE, %",
    "of fewer than three undisturbed, %",
    "whole passes differ by, %",
    "those of single runs by, %",
)
CURVE = ("condition", "median of", "s a model", "repeat spread, %", "implied noise, %", "tau between passes")


def markdown_of(found: dict[str, Any]) -> Iterator[str]:
    """Six tables: methods, our labels, comparisons, noise against cost, calm passes, the machine."""
    conditions = found["conditions"].items()
    for head, rows in (
        (HEAD, _methods),
        (LABELS, _labels),
        (COMPARED, _comparisons),
        (CURVE, _curve),
        (CALMNESS, _calmness),
        (WEATHER, _weather),
    ):
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        for name, condition in conditions:
            for row in rows(name, condition):
                yield f"| {' | '.join(row)} |"
        yield ""


def _methods(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    for method in ROWS:
        row = condition["methods"][method]
        yield (
            f"{name}, {condition['passes']} passes",
            NAMES[method],
            f"{row['seconds_a_model']:.2f}",
            tau_words(row["tau_between_passes"]),
            percent_words(row["repeat_spread"]),
            percent_words(row["implied_noise"]),
            tau_words(row["ceiling"]),
        )


def _labels(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    ours = condition["methods"]["ours"]
    yield (
        name,
        f"{ours['processes_a_label']:.1f}",
        f"{ours['disturbed_a_label']:.1f}",
        f"{100 * ours['unstable_share']:.0f}",
        f"{100 * ours['too_few_undisturbed_share']:.0f}",
        share_words(ours["pass_shift"]),
        share_words(condition["methods"]["naive"]["pass_shift"]),
    )


def _comparisons(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    for method, compared in condition["ours_against"].items():
        for measure, each in compared.items():
            yield (
                name,
                NAMES[method],
                measure.replace("_", " "),
                percent_words(each["difference"]),
                plain_words(each["ratio"]),
                each["at_most_a_third"],
            )


def _curve(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    for point in condition["curve"]:
        yield (
            name,
            f"{point['size']} x {NAMES[point['method']]}",
            f"{point['seconds']:.2f}",
            percent_words(point["repeat_spread"]),
            percent_words(point["implied_noise"]),
            tau_words(point["tau_between_passes"]),
        )


def _weather(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    hog = condition["weather"]["hog_share"]
    for method, row in condition["weather"]["methods"].items():
        yield (
            name,
            MEASURED[method],
            str(row["processes"]),
            f"{row['seconds']:.0f}",
            share_words(row["steal_share"]),
            "-" if hog is None else f"{100 * hog:.0f}",
            str(row["disturbed"]),
            "; ".join(f"{count} x {reason}" for reason, count in row["disturbed_by"].items()) or "-",
        )


def _calmness(name: str, condition: dict[str, Any]) -> Iterator[Sequence[str]]:
    for kind, part in condition["weather_permitting"].items():
        tau = part["tau_between_passes"]
        yield (
            name,
            f"{kind}, {CALM_WORDS[kind]}",
            str(part["passes"]),
            "-" if part["scatter"] is None else f"{100 * part['scatter']:.2f}",
            "-" if tau is None else tau_words(tau),
            part["tau_reached"] or "-",
        )
