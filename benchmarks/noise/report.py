"""What a journal says: the study's table, the comparison of methods, and the curve of noise against cost."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from hytnas_datasets.store.quality import without_numbers
from hytnas_predictors.result import Interval
from noise.journal import Header, Journal, Process
from noise.methods import CONDITIONS, METHODS, Label, label_of, rule_of
from noise.statistics import (
    Floats,
    Noise,
    Strata,
    Weights,
    at_most,
    difference,
    noise_of,
    pass_shift,
    ratio,
    tau_between_passes,
    weights_of,
)

ROWS = ("first", "naive", "fixed", "ours")
TAU_AIM = 0.98
CALM = 0.02
"""Up to this scatter of processes (standard deviation of the logarithm, median over models) a pass is calm:
ten of them then make a label that is good to some 0.8 %."""
SHARE_AIM = 1 / 3
RESAMPLES = 1000
SAME = (
    "resolution",
    "seed",
    "timed_budget_s",
    "target_half_width",
    "min_processes",
    "max_processes",
    "hog_busy_s",
    "hog_idle_s",
)
"""What journals of one study have in common; machines and versions of the code may differ."""

Labels = dict[str, list[list[Label | None]]]
Rows = list[list[Label]]
"""Labels of each model (outer) in each pass (inner)."""
Kept = dict[str, list[Rows]]
"""By method: those of each stratum."""


def labels_of(journal: Journal, header: Header, condition: str, methods: Sequence[str] = ROWS) -> Labels:
    """The labels of one condition in the passes that have ended; None for a model that failed.

    Returns
    -------
    dict of method to [[label of each pass] of each model, in the header's order]
    """
    rule = rule_of(header)
    by_turn: dict[tuple[int, str, str], list[Process]] = defaultdict(list)
    for each in _of_ended_passes(journal, condition):
        by_turn[each.repeat, each.method, each.model].append(each)
    ended = ended_repeats(journal, condition)
    return {
        method: [
            [
                label_of(method, by_turn[repeat, "naive" if method == "first" else method, model], rule)
                for repeat in ended
            ]
            for model in header.models
        ]
        for method in methods
    }


def check_same_study(journals: Sequence[Journal]) -> list[Header]:
    """The headers, of journals that are of one study: of the same networks, measured in the same way.

    Raises
    ------
    SystemExit
        One is empty, or of another study, or two hold the same processes.
    """
    headers = [journal.header for journal in journals if journal.header is not None]
    if len(headers) < len(journals):
        raise SystemExit("nothing is measured yet")
    for header in headers[1:]:
        for name in SAME:
            one, other = getattr(headers[0], name), getattr(header, name)
            if one != other:
                raise SystemExit(f"these journals are not of the same study: {name} is {one} and {other}")
        if len(header.models) != len(headers[0].models):
            raise SystemExit(
                f"these journals are not of the same study: they have {len(headers[0].models)} and "
                f"{len(header.models)} models"
            )
    jobs = [{each.job_id for each in journal.processes} for journal in journals]
    if any(one & other for one, other in combinations(jobs, 2)):
        raise SystemExit("the same processes are in two of these journals: give each journal once")
    return headers


def analyse(journals: Sequence[Journal], *, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Everything that is reported, as plain values; intervals are at 95 %, noise is relative.

    Each journal is a stratum: its passes are compared with each other only. Models that failed in any pass
    are left out everywhere. The truth whose gaps turn tau into noise is the mean logarithm of ``ours`` in the
    first condition that the journal has. A condition needs two passes that have ended, of one journal.

    Parameters
    ----------
    journals : sequence of Journal
        Of one study; models are told apart by their places in the header.

    Raises
    ------
    SystemExit
        See ``check_same_study``.
    """
    headers = check_same_study(journals)
    places = range(len(headers[0].models))
    labelled: dict[str, dict[int, Labels]] = {}
    for name in CONDITIONS:
        every = [labels_of(j, header, name) for j, header in zip(journals, headers, strict=True)]
        if several := {number: each for number, each in enumerate(every) if len(each["ours"][0]) >= 2}:
            labelled[name] = several
    failed = {
        place
        for strata in labelled.values()
        for labels in strata.values()
        for rows in labels.values()
        for place in places
        if None in rows[place]
    }
    models = [place for place in places if place not in failed]
    found: dict[str, Any] = {
        "models": len(models),
        "journals": [_origin(journal, header) for journal, header in zip(journals, headers, strict=True)],
        "failed_models": sorted(headers[0].models[place] for place in failed),
        "conditions": {},
    }
    if len(models) < 2 or not labelled:
        return found
    kept: dict[str, Kept] = {
        name: {
            method: [
                [[each for each in labels[method][place] if each is not None] for place in models]
                for labels in strata.values()
            ]
            for method in ROWS
        }
        for name, strata in labelled.items()
    }
    truths: dict[int, Floats] = {}
    for name, strata in labelled.items():
        for number, logs in zip(strata, _logs(kept[name]["ours"]), strict=True):
            truths.setdefault(number, logs.mean(axis=1))
    rng = np.random.default_rng(headers[0].seed)
    weights = weights_of(len(models), resamples, rng)
    for name, strata in labelled.items():
        of_strata = [truths[number] for number in strata]
        processes = [one for number in strata for one in _of_ended_passes(journals[number], name)]
        found["conditions"][name] = {
            **_condition(kept[name], of_strata, weights, rng),
            "curve": list(_curve(kept[name], of_strata, weights, headers[0].min_processes, rng)),
            "our_passes": list(_passes(kept[name]["ours"], [(n, journals[n]) for n in strata], name)),
            "weather": _weather(processes),
        }
    return found


def _condition(labels: Kept, truths: Strata, weights: Weights, rng: np.random.Generator) -> dict[str, Any]:
    logs = {method: _logs(labels[method]) for method in ROWS}
    noises = {method: noise_of(logs[method], truths, weights, rng) for method in ROWS}
    return {
        "passes": sum(each.shape[1] for each in logs["ours"]),
        "journals": len(logs["ours"]),
        "methods": {method: _row(noises[method], logs[method], labels[method]) for method in ROWS},
        "ours_against": {m: _compare(noises["ours"], noises[m]) for m in ROWS if m != "ours"},
        "tau_reached": _reaches_aim(noises["ours"].tau.interval),
        "weather_permitting": _by_calm(labels["ours"], logs["ours"], weights),
    }


def _origin(journal: Journal, header: Header) -> dict[str, Any]:
    """Where a journal comes from: the fingerprint of its device's context, and the code that measured."""
    names = ("device", "context", "agent_version", "agent_code", "study_code")
    return {name: getattr(header, name) for name in names} | {"blocks": len(journal.blocks)}


def _reaches_aim(tau: Interval) -> str:
    return at_most(Interval(-tau.value, -tau.high, -tau.low), -TAU_AIM)


def _by_calm(strata: list[Rows], logs: Strata, weights: Weights) -> dict[str, Any]:
    """Our passes, apart by how much the processes within a label scatter: what the machine itself permits."""
    scatter = [_scatter_of_passes(rows) for rows in strata]
    found = {}
    for name in ("calm", "rough"):
        of_kind = [(each <= CALM) == (name == "calm") for each in scatter]
        chosen = np.concatenate([each[kind] for each, kind in zip(scatter, of_kind, strict=True)])
        apart = [each[:, kind] for each, kind in zip(logs, of_kind, strict=True)]
        several = [each for each in apart if each.shape[1] >= 2]
        tau = tau_between_passes(several, weights).interval if several else None
        found[name] = {
            "passes": len(chosen),
            "scatter": float(np.median(chosen)) if len(chosen) else None,
            "tau_between_passes": None if tau is None else msgspec.to_builtins(tau),
            "tau_reached": None if tau is None else _reaches_aim(tau),
        }
    return found


def _scatter_of_passes(rows: Rows) -> Floats:
    """(r,) standard deviation, on the logarithm, of a label's processes, median over models."""
    scatter = [
        [np.log(each.processes_ms).std(ddof=1) if len(each.processes_ms) > 1 else np.nan for each in row]
        for row in rows
    ]
    return np.asarray(np.nanmedian(scatter, axis=0))


def _logs(strata: list[Rows]) -> list[Floats]:
    return [np.log([[each.latency_ms for each in row] for row in rows]) for rows in strata]


def _plain(noise: Noise) -> dict[str, Any]:
    return {
        "tau_between_passes": msgspec.to_builtins(noise.tau.interval),
        "repeat_spread": msgspec.to_builtins(noise.repeat_spread.interval),
        "implied_noise": msgspec.to_builtins(noise.implied.interval),
        "ceiling": msgspec.to_builtins(noise.ceiling.interval),
    }


def _row(noise: Noise, logs: Strata, strata: list[Rows]) -> dict[str, Any]:
    flat = [each for rows in strata for row in rows for each in row]
    return {
        **_plain(noise),
        **_means(flat),
        "latency_ms": float(np.exp(np.concatenate(logs, axis=1).mean())),
        "pass_shift": pass_shift(logs),
        "processes_a_label": float(np.mean([len(each.processes_ms) for each in flat])),
        "too_few_undisturbed_share": float(np.mean([each.too_few_undisturbed for each in flat])),
    }


def _means(labels: Sequence[Label]) -> dict[str, float]:
    return {
        "seconds_a_model": float(np.mean([each.cost_s for each in labels])),
        "disturbed_a_label": float(np.mean([each.disturbed for each in labels])),
        "unstable_share": float(np.mean([not each.stable for each in labels])),
    }


def _compare(ours: Noise, other: Noise) -> dict[str, Any]:
    """Our noise less that of another method, and as a share of it, by both measures of noise."""
    compared: dict[str, Any] = {}
    for name, mine, theirs in (
        ("repeat_spread", ours.repeat_spread, other.repeat_spread),
        ("implied_noise", ours.implied, other.implied),
    ):
        share = ratio(mine, theirs)
        compared[name] = {
            "difference": msgspec.to_builtins(difference(mine, theirs)),
            "ratio": msgspec.to_builtins(share),
            "at_most_a_third": at_most(share, SHARE_AIM),
        }
    return compared


def _curve(
    labels: Kept, truths: Strata, weights: Weights, least: int, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Noise against cost: medians of several naive or fixed passes, and fewer processes of ours.

    Points of ours go up to the ``least`` number of processes; labels of fewer stand there with all theirs.
    They cost all that had been spent on a label by then, disturbed attempts included.
    """
    for method in ("naive", "fixed"):
        for size in (1, 2, 3, 5, 7, 10):
            grouped = [_groups(rows, size) for rows in labels[method]]
            several = [rows for rows in grouped if len(rows[0]) >= 2]
            of_these = [truth for truth, rows in zip(truths, grouped, strict=True) if len(rows[0]) >= 2]
            if not several:
                continue
            logs = [
                np.log([[np.median([each.latency_ms for each in group]) for group in row] for row in rows])
                for rows in several
            ]
            costs_s = [
                sum(each.cost_s for each in group) for rows in several for row in rows for group in row
            ]
            yield _point(method, size, float(np.mean(costs_s)), noise_of(logs, of_these, weights, rng))
    for size in range(1, least + 1):
        logs = [
            np.log([[np.median(each.processes_ms[:size]) for each in row] for row in rows])
            for rows in labels["ours"]
        ]
        costs_s = [each.spent_s[:size][-1] for rows in labels["ours"] for row in rows for each in row]
        yield _point("ours", size, float(np.mean(costs_s)), noise_of(logs, truths, weights, rng))


def _passes(
    strata: list[Rows], of_journals: Sequence[tuple[int, Journal]], condition: str
) -> Iterator[dict[str, Any]]:
    """Our labels pass by pass, each journal's in the order of time.

    ``slower`` is by how much a pass's labels are above the mean of all passes of its journal, as the mean of
    the logarithm over models; ``scatter`` that of the processes within a label, see ``_scatter_of_passes``.
    """
    for rows, logs, (number, journal) in zip(strata, _logs(strata), of_journals, strict=True):
        scatter, slower = _scatter_of_passes(rows), logs.mean(axis=0) - logs.mean()
        began_s: dict[int, float] = {}
        for each in _of_ended_passes(journal, condition):
            began_s[each.repeat] = min(each.started_unix_s, began_s.get(each.repeat, np.inf))
        ended = ended_repeats(journal, condition)
        for column in sorted(range(len(ended)), key=lambda column: began_s[ended[column]]):
            yield {
                "journal": number,
                "repeat": ended[column],
                "began_unix_s": began_s[ended[column]],
                "slower": float(slower[column]),
                "scatter": float(scatter[column]),
                **_means([row[column] for row in rows]),
            }


def _groups(rows: Rows, size: int) -> list[list[list[Label]]]:
    """Of each model its passes by so many, one after the other; what is left over at the end is left out."""
    return [[row[start : start + size] for start in range(0, len(row) - size + 1, size)] for row in rows]


def _point(method: str, size: int, seconds: float, noise: Noise) -> dict[str, Any]:
    return {**_plain(noise), "method": method, "size": size, "seconds": seconds}


def ended_repeats(journal: Journal, condition: str) -> list[int]:
    """The repeats whose pass under this condition has ended, in order."""
    return sorted({block.repeat for block in journal.blocks if block.condition == condition})


def _of_ended_passes(journal: Journal, condition: str) -> list[Process]:
    ended = ended_repeats(journal, condition)
    return [each for each in journal.processes if each.condition == condition and each.repeat in ended]


def _weather(processes: list[Process]) -> dict[str, Any]:
    """What the machine did meanwhile, in the passes that have ended.

    ``hog_share`` is the share of the time that the hog held its core, by its own processor time.
    """
    hog_s = sum(each.hog_s or 0.0 for each in processes)
    return {
        "processes": len(processes),
        "seconds": sum(each.wall_s for each in processes),
        "hog_share": sum(each.hog_busy_s or 0.0 for each in processes) / hog_s if hog_s else None,
        "methods": {m: _weather_of([each for each in processes if each.method == m]) for m in METHODS},
    }


def _weather_of(processes: list[Process]) -> dict[str, Any]:
    """Of one method: ``steal_share`` of the time of its timed runs, where known; why it was disturbed."""
    known = [(each.steal_s, each.runs_s) for each in processes if each.steal_s is not None and each.runs_s]
    runs_s = sum(runs or 0.0 for _, runs in known)
    reasons: Counter[str] = Counter()
    for each in processes:
        reasons.update({without_numbers(reason) for reason in each.disturbed})
    return {
        "processes": len(processes),
        "seconds": sum(each.wall_s for each in processes),
        "runs_s": runs_s,
        "steal_share": sum(steal or 0.0 for steal, _ in known) / runs_s if runs_s else None,
        "disturbed": sum(not each.usable for each in processes),
        "disturbed_by": dict(reasons.most_common()),
    }
