"""What the canary of each device showed, what of it was discarded, and the spells measured again for it."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from hytnas_agent.records import ProcessResult
from hytnas_datasets.store import DiscardRecord
from hytnas_host.report.data import CanaryPoint, CanaryState, DrawnCanary, DriftSpell


def canary_series(
    canaries: Sequence[ProcessResult],
    names: Mapping[str, str],
    timed: Sequence[ProcessResult] = (),
    discards: Sequence[DiscardRecord] = (),
) -> tuple[DrawnCanary, ...]:
    """The canary's medians over time on each device, one canary model only, and the spells of drift.

    The series are in the order in which the devices measured it first.

    Parameters
    ----------
    canaries : sequence of ProcessResult
    names : mapping
        What devices are called, by device id.
    timed : sequence of ProcessResult
        Timed processes of every purpose.
    discards : sequence of DiscardRecord
        In the order in which they were discarded.
    """
    good = [result for result in canaries if result.median_ms is not None]
    if not good:
        return ()
    first = min(good, key=lambda result: result.started_unix_s)
    shown = [result for result in good if result.model_sha256 == first.model_sha256]
    drifted = {record.job_id for record in discards if not record.of_former_speed}
    series = []
    for device_id, mine in _by_device(shown).items():
        levels = _levels(mine, discards)
        points = tuple(
            CanaryPoint(
                (result.started_unix_s - first.started_unix_s) / 60,
                result.median_ms,
                _state(result, levels, drifted),
                levels.get(result.job_id, len(set(levels.values()))),
            )
            for result in mine
            if result.median_ms is not None
        )
        spells = _spells(_by_device(timed).get(device_id, []), drifted, canaries, first.started_unix_s)
        series.append(DrawnCanary(names.get(device_id, device_id), points, spells))
    return tuple(series)


def _by_device(results: Sequence[ProcessResult]) -> dict[str, list[ProcessResult]]:
    """Results of each device, in the order they started."""
    found: dict[str, list[ProcessResult]] = {}
    for result in sorted(results, key=lambda result: result.started_unix_s):
        found.setdefault(result.identity.device_id, []).append(result)
    return found


def _levels(mine: Sequence[ProcessResult], discards: Sequence[DiscardRecord]) -> dict[str, int]:
    """The speed, counted from 0, of each canary of a former one: those of one speed are discarded at once."""
    own = {result.job_id for result in mine}
    former = [record for record in discards if record.of_former_speed and record.job_id in own]
    times = list(dict.fromkeys(record.at_unix_s for record in former))
    return {record.job_id: times.index(record.at_unix_s) for record in former}


def _state(result: ProcessResult, levels: Mapping[str, int], drifted: set[str]) -> CanaryState:
    if result.job_id in levels:
        return "former"
    return "drifted" if result.job_id in drifted else "kept"


def _spells(
    timed: Sequence[ProcessResult], drifted: set[str], canaries: Sequence[ProcessResult], first_s: float
) -> tuple[DriftSpell, ...]:
    """Stretches of timed processes, in the order they started, all of which were discarded for a drift.

    One that was disturbed, and measured again for that, neither begins nor ends a stretch.
    """
    of_canary = {result.job_id for result in canaries}
    telling = [result for result in timed if result.job_id in drifted or not result.is_disturbed]
    spells = []
    for gone, stretch in groupby(telling, lambda result: result.job_id in drifted):
        results = list(stretch)
        if gone:
            ends_s = max(result.started_unix_s + result.wall_s for result in results)
            number = sum(result.job_id not in of_canary for result in results)
            start = (results[0].started_unix_s - first_s) / 60
            spells.append(DriftSpell(start, (ends_s - first_s) / 60, number))
    return tuple(spells)
