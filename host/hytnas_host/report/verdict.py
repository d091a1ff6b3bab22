"""The verdict in plain sentences: what was found, and how far it can be trusted."""

from dataclasses import dataclass

import numpy as np

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import ACCURACY, LATENCY, get_target
from hytnas_host.report.data import UNSTABLE, Axes, ReportData, percent_of
from hytnas_host.report.tables import verification_errors
from hytnas_host.report.words import milliseconds, percent, plural, signed_percent
from hytnas_predictors.result import Leaderboard


@dataclass(frozen=True)
class Verdict:
    """A headline, and one paragraph each on what was found and on how far it can be trusted."""

    headline: str
    found: tuple[str, ...]
    trust: tuple[str, ...]


def pronounce(data: ReportData) -> Verdict:
    """Put the study into words."""
    trust = [
        sentence
        for sentence in (
            _execution(data),
            _labels(data),
            _latency_predictor(data),
            _verification(data),
            _accuracy(data),
            *_other_predictors(data),
        )
        if sentence
    ]
    return Verdict(_headline(data), tuple(_found(data)), tuple(trust))


def _headline(data: ReportData) -> str:
    if data.search is None or not data.search.front:
        if data.spreads:
            networks = plural(len(data.spreads), "network")
            search = "no search yet" if data.search is None else "the front of the search is empty"
            return f"{networks} measured on {data.device_name}{data.provenance}; {search}"
        return "Nothing measured yet"
    members = plural(len(data.search.front), "network")
    axes = Axes.of(data.search.objectives)
    if axes.latency is None:
        return f"{members} on the Pareto front"
    verified = data.verified()
    measured = [verified[m.architecture].measured_ms for m in data.search.front if m.architecture in verified]
    latencies = [latency for latency in measured if latency is not None]
    how = "measured"
    if len(latencies) < len(data.search.front):
        latencies = [member.values[axes.latency] for member in data.search.front]
        how = "predicted"
    low, high = milliseconds(min(latencies)), milliseconds(max(latencies))
    at = low if low == high else f"{low} to {high}"
    return f"{members} on the Pareto front, {how} at {at}{data.provenance}"


def _found(data: ReportData) -> list[str]:
    search = data.search
    if search is None or not search.front:
        used = (
            "no search has used them yet"
            if search is None
            else "none of the architectures that the search evaluated meets its constraints"
        )
        return [f"The study holds labels of {plural(len(data.spreads), 'network')}; {used}."]
    axes = Axes.of(search.objectives)
    kept = f" under {', '.join(search.constraints)}" if search.constraints else ""
    sentences = [
        f"On {data.device_name}{data.provenance}, the strategy “{search.strategy}” evaluated "
        f"{plural(len(search.evaluated), 'architecture')} of the space “{search.space}”{kept} and kept "
        f"{len(search.front)} that no other beats."
    ]
    if axes.latency is None or axes.accuracy is None:
        return sentences
    verified = data.verified()
    names = {"BL": "The fastest (BL)", "O": "the best trade-off (O)", "BA": "the most accurate (BA)"}
    parts = []
    for pick in sorted(search.picks, key=lambda pick: list(names).index(pick.label)):
        row = verified.get(pick.architecture)
        if row is not None and row.measured_ms is not None:
            latency = f"{milliseconds(row.measured_ms)} measured"
        else:
            latency = f"{milliseconds(pick.values[axes.latency])} predicted"
        accuracy = percent(percent_of(pick.values[axes.accuracy], search.objectives[axes.accuracy]))
        parts.append(f"{names[pick.label]}: {latency}, {accuracy} predicted accuracy")
    if parts:
        sentences.append("; ".join([parts[0][0].upper() + parts[0][1:], *parts[1:]]) + ".")
    return sentences


def _execution(data: ReportData) -> str:
    if data.execution == "native":
        return ""
    return f"Latencies: {EXECUTION_WORDS[data.execution]}. They say nothing about the speed of a real board."


def _labels(data: ReportData) -> str:
    widths = [m.half_width_percent for m in data.spreads if m.half_width_percent is not None]
    if not widths:
        return ""
    reached = sum(width <= data.width_target_percent for width in widths)
    return (
        f"Latency labels: half of the {len(data.spreads)} measured networks are known to "
        f"±{np.median(widths):.1f} % or better (95 % interval over fresh processes), and {reached} reach "
        f"the target of ±{data.width_target_percent:g} %." + _doubts(data)
    )


def _doubts(data: ReportData) -> str:
    """What is bad about the labels, in a sentence; empty where nothing is."""
    ours = [quality for quality in data.qualities if not quality.afresh]
    counts = {
        f"{UNSTABLE} (the interval is wider than asked for)": sum(quality.unstable for quality in ours),
        "of too few undisturbed processes": sum(quality.disturbed for quality in ours),
        "from before a lasting change of the device's speed": sum(quality.former_speed for quality in ours),
        "of processes discarded since": sum(quality.stale for quality in ours),
    }
    found = [f"{number} {words}" for words, number in counts.items() if number]
    return f" Of the labels, these are doubtful: {', '.join(found)}." if found else ""


def _latency_predictor(data: ReportData) -> str:
    board = data.leaderboard()
    return f"Latency predictor: {_ranking(board)}." if board is not None and board.scores else ""


def _other_predictors(data: ReportData) -> list[str]:
    """A sentence on the best predictor of each target that has no sentence of its own."""
    others = [board for board in data.leaderboards if board.target not in (LATENCY.name, ACCURACY.name)]
    return [
        f"{get_target(board.target).words.capitalize()} predictor: {_ranking(board)}."
        for board in others
        if board.scores
    ]


def _ranking(board: Leaderboard) -> str:
    best = board.scores[0]
    tau = best.kendall_tau
    words = (
        f"{best.predictor} ranks networks it has not seen with Kendall τ {tau.value:.2f} "
        f"[{tau.low:.2f}, {tau.high:.2f}]"
    )
    if best.leak_suspected:
        return f"{words}, above what labels this noisy allow: investigate a leak before trusting it"
    if not best.better_than_chance:
        return f"{words}, which cannot be told from chance"
    if board.ceiling is not None:
        words += f", where labels this noisy allow at most {board.ceiling.label_to_truth.value:.2f}"
    return words


def _verification(data: ReportData) -> str:
    done = data.verification
    if done is None:
        if data.search is None:
            return ""
        return "Nothing has been verified afresh on the device yet: the front's latencies are predictions."
    front, control = verification_errors(data, "front"), verification_errors(data, "control")
    if front is None:
        return "No front member could be measured afresh."
    words = (
        f"Verified afresh: the front's latencies were predicted to within {percent(front[0])} on average "
        f"(bias {signed_percent(front[1])})"
    )
    if control is not None:
        words += f", random controls to {percent(control[0])}"
    return words + "."


def _accuracy(data: ReportData) -> str:
    board = data.leaderboard(ACCURACY)
    if data.training is None and board is None:
        return "There are no accuracy labels." if data.spreads else ""
    label = data.training.description if data.training is not None else (board.provenance if board else "")
    words = f"Accuracy labels: {label}"
    if board is not None and board.scores:
        words += f"; {_ranking(board)}"
    return words + "."
