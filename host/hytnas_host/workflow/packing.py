"""Studies packed into one data set for others: labels, and a data sheet that says how they were made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hytnas_agent.records import MeasurePass, Outcome
from hytnas_agent.statistics import median
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.merging import merge
from hytnas_datasets.portable import DataSheet, write_set
from hytnas_datasets.sharing import Places
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_datasets.targets import get_target
from hytnas_host.devices import icount


def pack(
    studies: Sequence[Path],
    folder: Path,
    target: str,
    space: str,
    *,
    name: str,
    summary: str,
    licence: str,
) -> DataSheet:
    """Write the labels of one study, or of several that were labelled alike, into ``folder``.

    Raises
    ------
    StudyError, NotEnoughDataError, DataSetError
    """
    sets: list[LabelledSet] = []
    provenance: list[dict[str, Any]] = []
    hostnames: list[str] = []
    for study in studies:
        with Study.open(study, create=False) as opened:
            sets.append(opened.labelled(target, space=get_space(space)))
            provenance.append(_provenance(opened, target))
            hostnames += [device.identity.hostname for device in opened.devices.all()]
    labelled = merge(sets)
    made: dict[str, Any] = {"studies": Places(hostnames).out_of(provenance)}
    if labelled.context.execution == "instruction_count" and icount.is_built():
        made["emulated_system"] = msgspec.to_builtins(icount.build().manifest)
    return write_set(labelled, folder, name=name, summary=summary, licence=licence, provenance=made)


def _provenance(study: Study, target: str) -> dict[str, Any]:
    """The runs that wrote into a study, its exports, and how fast it measured."""
    runs = [
        {
            "command": run.command,
            "config": run.config,
            "environment": {key: value for key, value in run.environment.items() if key != "system"},
        }
        for run in study.runs.all()
    ]
    made: dict[str, Any] = {"runs": runs}
    if not get_target(target).of_device:
        return made
    exports = study.exports.all()
    made["exports"] = sorted(
        {f"{e.format} {e.precision}, opset {e.opset}, {e.converter} {e.converter_version}" for e in exports}
    )
    timed = [
        result
        for results in study.results.by_model(Purpose.LATENCY).values()
        for _, result in results
        if result.measure_pass == MeasurePass.TIMED and result.outcome is Outcome.OK
    ]
    if timed:
        made["settings"] = msgspec.to_builtins(timed[0].settings)
        begun = min(result.started_unix_s for result in timed)
        ended = max(result.started_unix_s + result.wall_s for result in timed)
        made["models"] = len({result.model_sha256 for result in timed})
        made["models_per_hour"] = round(3600 * made["models"] / (ended - begun), 1)
        made["median_process_wall_s"] = round(median([result.wall_s for result in timed]), 1)
        made["begun_unix_s"], made["ended_unix_s"] = round(begun), round(ended)
    return made
