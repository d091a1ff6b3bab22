"""The result of a noise study as lines of text."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from noise.methods import CONDITIONS
from noise.report import CALM, ROWS, TAU_AIM

NAMES = {
    "first": "single run, the first",
    "naive": "single run, the second",
    "fixed": "10 warm-ups + 50 runs",
    "ours": "ours",
}
MEASURED = NAMES | {"naive": "single run"}
"""The processes of both single runs are the same ones."""

AIM_WORDS = f"at least {TAU_AIM:g}"
CALM_WORDS = {"calm": f"at most {CALM:.0%}", "rough": f"more than {CALM:.0%}"}


def lines_of(found: dict[str, Any]) -> Iterator[str]:
    """The study's table, the comparisons, the curve and what the machine did."""
    yield f"{found['models']} models; intervals at 95 %"
    if len(found["journals"]) > 1:
        for each in found["journals"]:
            yield (
                f"a journal of {each['blocks']} blocks: device {each['device']}, context "
                f"{each['context'][:12]}, agent {each['agent_version']} ({each['agent_code']}), study code "
                f"{each['study_code']}"
            )
    if found["failed_models"]:
        yield f"left out, because they failed: {', '.join(each[:12] for each in found['failed_models'])}"
    if not found["conditions"]:
        yield "no condition has two complete passes yet"
    for name, condition in found["conditions"].items():
        yield ""
        journals = f" of {condition['journals']} journals" if condition["journals"] > 1 else ""
        yield f"== {name}: {CONDITIONS[name]}; {condition['passes']} passes{journals}"
        yield from _table(condition)
        yield from _comparison(condition)
        yield from _curve(condition)
        yield from _passes(condition)
        yield from _weather(condition["weather"])


def _table(condition: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{'method':22} {'s a model':>9} {'tau between passes':>24} {'repeat spread, %':>22} "
        f"{'implied noise, %':>22} {'ceiling':>24}"
    )
    for method in ROWS:
        row = condition["methods"][method]
        yield (
            f"{NAMES[method]:22} {row['seconds_a_model']:9.2f} {tau_words(row['tau_between_passes']):>24} "
            f"{percent_words(row['repeat_spread']):>22} {percent_words(row['implied_noise']):>22} "
            f"{tau_words(row['ceiling']):>24}"
        )
    ours = condition["methods"]["ours"]
    yield (
        f"ours: labels of {ours['processes_a_label']:.1f} processes, {ours['disturbed_a_label']:.1f} "
        f"disturbed attempts a label; {ours['unstable_share']:.0%} of labels unstable, "
        f"{ours['too_few_undisturbed_share']:.0%} have too few undisturbed ones; whole passes differ by "
        f"{ours['pass_shift']:.2%} (the single run's by {condition['methods']['naive']['pass_shift']:.2%})"
    )


def _comparison(condition: dict[str, Any]) -> Iterator[str]:
    for method, compared in condition["ours_against"].items():
        for measure, each in compared.items():
            yield (
                f"{measure.replace('_', ' ')}, ours against {NAMES[method]}: "
                f"{percent_words(each['difference'])} points, ratio {plain_words(each['ratio'])}; "
                f"at most a third: {each['at_most_a_third']}"
            )
    yield f"tau between two passes of ours {AIM_WORDS}: {condition['tau_reached']}"
    for name, part in condition["weather_permitting"].items():
        tau = part["tau_between_passes"]
        yield (
            f"  {name} passes (processes scatter by {CALM_WORDS[name]}): {part['passes']}"
            + (
                ""
                if tau is None
                else f", tau between them {tau_words(tau)}, {AIM_WORDS}: {part['tau_reached']}"
            )
        )


def _curve(condition: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{'noise against cost':22} {'of':>3} {'s a model':>9} {'repeat spread, %':>22} "
        f"{'implied noise, %':>22}"
    )
    for point in condition["curve"]:
        yield (
            f"{NAMES[point['method']]:22} {point['size']:3d} {point['seconds']:9.2f} "
            f"{percent_words(point['repeat_spread']):>22} {percent_words(point['implied_noise']):>22}"
        )


def _passes(condition: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{'ours, pass by pass':22} {'began (UTC)':>16} {'slower, %':>9} {'scatter, %':>10} "
        f"{'unstable, %':>11} {'disturbed a label':>17} {'s a model':>9}"
    )
    for each in condition["our_passes"]:
        began = datetime.fromtimestamp(each["began_unix_s"], UTC)
        name = f"repeat {each['repeat'] + 1}"
        if condition["journals"] > 1:
            name += f", journal {each['journal'] + 1}"
        yield (
            f"{name:22} {began:%Y-%m-%d %H:%M} "
            f"{100 * each['slower']:9.2f} {100 * each['scatter']:10.2f} {100 * each['unstable_share']:11.0f} "
            f"{each['disturbed_a_label']:17.1f} {each['seconds_a_model']:9.2f}"
        )


def _weather(weather: dict[str, Any]) -> Iterator[str]:
    hog = weather["hog_share"]
    yield (
        f"{weather['processes']} processes in {weather['seconds']:.0f} s"
        + ("" if hog is None else f"; the hog held its core {hog:.0%} of the time")
    )
    yield f"{'the machine during':22} {'processes':>9} {'seconds':>9} {'stolen, %':>9} {'disturbed':>9}"
    for method, row in weather["methods"].items():
        yield (
            f"{MEASURED[method]:22} {row['processes']:9d} {row['seconds']:9.0f} "
            f"{share_words(row['steal_share']):>9} {row['disturbed']:9d}"
        )
        for reason, count in row["disturbed_by"].items():
            yield f"  {count} x {reason}"


def share_words(share: float | None) -> str:
    """In percent; a question mark where it is not known."""
    return "?" if share is None else f"{100 * share:.2f}"


def tau_words(interval: dict[str, float]) -> str:
    """With three digits."""
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def percent_words(interval: dict[str, float]) -> str:
    """In percent."""
    return f"{100 * interval['value']:.2f} [{100 * interval['low']:.2f}, {100 * interval['high']:.2f}]"


def plain_words(interval: dict[str, float]) -> str:
    """With two digits."""
    return f"{interval['value']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"
