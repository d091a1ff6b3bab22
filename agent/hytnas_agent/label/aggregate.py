"""From the processes of a model to its label."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hytnas_agent.errors import AgentError
from hytnas_agent.label.attempts import counting, medians_ms, well_timed
from hytnas_agent.label.intervals import geometric_t_interval
from hytnas_agent.label.stopping import StoppingRule
from hytnas_agent.records import LatencyLabel, MeasurePass, Outcome, ProcessResult
from hytnas_agent.statistics import mad, mean, median, quantile

_ALL_ALIKE: Final = re.compile(r"(\d+) [A-Z_]+ of \1 processes: ")
MIN_OK_PROCESSES: Final = 3
"""Timed processes that must have ended OK for a label with a latency, unless fewer were asked for."""


def aggregate(results: Sequence[ProcessResult], /, rule: StoppingRule | None = None) -> LatencyLabel:
    """The label of one model from all its processes, whatever pass they are of.

    It takes three processes that ended OK, or all of them where fewer were asked for. The undisturbed ones
    make the label; where they are fewer than that, it says so, and where there is none, the fastest of the
    disturbed makes it. Otherwise its outcome is the most frequent failure, it carries no latency, and
    ``message`` says how many processes ended how. A failed memory pass leaves ``peak_rss_bytes`` unset.

    Parameters
    ----------
    results : sequence of ProcessResult
    rule : StoppingRule, optional
        By which the number of processes was chosen; a fixed number by default. A label whose interval is not
        as narrow as it asks for is UNSTABLE, and so is one of fewer processes than it looks at first, since
        its coverage is not known.

    Raises
    ------
    AgentError
        Without a timed process, or with processes of more than one model.
    """
    timed = [result for result in results if result.measure_pass == MeasurePass.TIMED]
    if not timed or len({result.model_sha256 for result in results}) != 1:
        raise AgentError("a label needs timed processes of exactly one model")
    well = well_timed(timed)
    good = counting(well)
    failures = Counter(result.outcome for result in timed if result not in well)
    needed = min(MIN_OK_PROCESSES, len(timed))
    enough = len(well) >= needed
    disturbed = [result for result in well if result.is_disturbed]
    too_few = enough and len(well) - len(disturbed) < needed
    medians = medians_ms(good)
    pooled = [sample for result in good for sample in result.counted_ms] if enough else []
    centre = median(medians) if enough else None
    interval = _interval(medians if enough else (), rule)
    return LatencyLabel(
        model_sha256=timed[0].model_sha256,
        outcome=interval.outcome if enough else failures.most_common(1)[0][0],
        processes=len(good),
        samples=sum(len(result.counted_ms) for result in good),
        median_ms=centre,
        process_medians_ms=medians,
        jobs=tuple(result.job_id for result in good),
        ci_low_ms=interval.low_ms,
        ci_high_ms=interval.high_ms,
        mad_ms=mad(pooled) if pooled else None,
        mean_ms=mean(pooled) if pooled else None,
        p90_ms=quantile(pooled, 0.90) if pooled else None,
        p99_ms=quantile(pooled, 0.99) if pooled else None,
        cold_ms=_over(median, [result.cold_ms for result in good]),
        load_ms=_over(median, [result.load_ms for result in good]),
        throughput_per_s=1000 / centre if centre else None,
        peak_rss_bytes=_peak_rss_bytes(results),
        model_bytes=next((result.model_bytes for result in results if result.model_bytes), None),
        steady_processes=sum(1 for result in good if result.steady),
        message=_explain(failures, timed, good, disturbed if too_few else [], interval.message),
        half_width=interval.half_width,
        target_half_width=rule.target_half_width if rule is not None and rule.adaptive else None,
        looks=interval.looks,
        look_confidence=0.95 if rule is None else rule.look_confidence,
        disturbed_processes=len(disturbed),
        too_few_undisturbed=too_few,
    )


def few_words(message: str, /) -> str:
    """What a label's message says, without the count where all of its processes ended alike.

    >>> few_words("5 CRASH of 5 processes: killed by SIGSEGV")
    'killed by SIGSEGV'
    """
    return _ALL_ALIKE.sub("", message, count=1)


def made_of(label: LatencyLabel, results: Mapping[str, ProcessResult], /) -> list[ProcessResult]:
    """The processes that make a label, of ``results`` by job id; those that are not there are left out."""
    return [results[job_id] for job_id in label.jobs if job_id in results]


@dataclass(frozen=True)
class _Interval:
    low_ms: float | None = None
    high_ms: float | None = None
    half_width: float | None = None
    looks: int = 0
    outcome: Outcome = Outcome.OK
    message: str = ""


def _interval(medians_ms: Sequence[float], rule: StoppingRule | None) -> _Interval:
    """The interval by the rule, or that of a fixed number of processes."""
    if rule is not None:
        decision = rule.decide(medians_ms)
        low, high, half, looks = decision.low_ms, decision.high_ms, decision.half_width, decision.looks
        if rule.adaptive and medians_ms and decision.state != "STABLE":
            message = _why_unstable(len(medians_ms), half, rule)
            return _Interval(low, high, half, looks, Outcome.UNSTABLE, message)
        return _Interval(low, high, half, looks)
    interval = geometric_t_interval(medians_ms)
    if interval is None:
        return _Interval()
    low, high = interval
    return _Interval(low, high, math.sqrt(high / low) - 1)


def _why_unstable(processes: int, half_width: float | None, rule: StoppingRule) -> str:
    if half_width is None or half_width <= rule.target_half_width:
        count = "1 process counts" if processes == 1 else f"{processes} processes count"
        return f"not stable: {count}, {rule.min_processes} are the least"
    return (
        f"not stable: +-{100 * half_width:.1f} % after {processes} processes, the target is "
        f"+-{100 * rule.target_half_width:.1f} %"
    )


def _over(reduce: Callable[[Sequence[float]], float], values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return reduce(known) if known else None


def _peak_rss_bytes(results: Sequence[ProcessResult]) -> int | None:
    peaks = [
        result.peak_rss_bytes
        for result in results
        if result.measure_pass == MeasurePass.MEMORY
        and result.outcome is Outcome.OK
        and result.peak_rss_bytes is not None
    ]
    return max(peaks) if peaks else None


def _explain(
    failures: Counter[Outcome],
    timed: Sequence[ProcessResult],
    good: Sequence[ProcessResult],
    disturbed: Sequence[ProcessResult],
    unstable: str,
) -> str:
    parts = [result.message for result in good if result.message][:1]
    if failures:
        endings = ", ".join(f"{count} {outcome}" for outcome, count in failures.most_common())
        first = next(
            (result.message for result in timed if result.outcome in failures and result.message), ""
        )
        parts.append(f"{endings} of {len(timed)} processes" + (f": {first}" if first else ""))
    if disturbed:
        verdict = disturbed[0].verdict
        reason = f": {', '.join(verdict.reasons)}" if verdict is not None and verdict.reasons else ""
        well = len(timed) - failures.total()
        parts.append(f"{len(disturbed)} of {well} processes were disturbed{reason}")
    unsteady = sum(1 for result in good if result.steady is False)
    if unsteady:
        parts.append(f"no steady state was reached in {unsteady} of {len(good)} processes")
    return "; ".join([*parts, unstable] if unstable else parts)
