"""The stages of a long job: run in order, timed, skipped when their result still stands."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from hytnas_agent.errors import HytnasError
from hytnas_host.study_files import read_json_if_there, write_json

Status = Literal["running", "done", "kept", "interrupted", "failed"]


class StageRecord(msgspec.Struct, frozen=True):
    """What is remembered of one stage. ``seconds`` adds up over interrupted tries.

    ``inputs`` is a fingerprint of what the stage's result was made from; ``note`` says what a person should
    know of how it ended, such as that there was no time for all of it.
    """

    stage: str
    seconds: float
    status: Status
    inputs: str = ""
    note: str = ""


class JobRecord(msgspec.Struct, frozen=True):
    """The main job as it stands: its configuration and its stages, in order."""

    config: dict[str, Any]
    stages: tuple[StageRecord, ...] = ()


class ConfigChangedError(HytnasError):
    """The study was begun with another configuration, or has a larger budget already."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    ``inputs`` gives the fingerprint of what it works from, ``outputs`` the files it leaves behind; where both
    stand as they were, the stage is kept and not run. A stage without outputs resumes by itself. What
    ``work`` returns is the note of its record.
    """

    name: str
    work: Callable[[], str | None]
    inputs: Callable[[], str] = lambda: ""
    outputs: tuple[Path, ...] = ()


class StageJournal:
    """The stages' journal, kept in ``run.json`` so that an interrupted job goes on and its times add up.

    Parameters
    ----------
    path : Path
    config : dict
        What the job does, as JSON gives it back.
    budgets : collection of str
        Keys of ``config`` with a number that may be raised between runs: more of the same.
    free : collection of str
        Keys that may change in any way.

    Raises
    ------
    ConfigChangedError
        Something else has changed, or a budget is smaller than before.
    ResultFileError
        The file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        *,
        budgets: Collection[str] = (),
        free: Collection[str] = (),
    ) -> None:
        self._path = path
        record = read_json_if_there(path, JobRecord) or JobRecord(config)
        fixed = (config | record.config).keys() - set(free)
        changed = sorted(key for key in fixed if config.get(key) != record.config.get(key))
        refused = [key for key in changed if key not in budgets]
        if refused:
            was = ", ".join(f"{key} = {record.config.get(key)}" for key in refused)
            raise ConfigChangedError(
                f"The study {path.parent} was begun with {was}",
                "give the same options again, or another folder with --study",
            )
        lowered = [key for key in changed if config[key] < record.config[key]]
        if lowered:
            was = ", ".join(f"{key} = {record.config[key]}" for key in lowered)
            raise ConfigChangedError(
                f"The study {path.parent} has {was}, which can be raised and not lowered",
                "give at least that, or another folder with --study",
            )
        self.config = config
        self._stages = {stage.stage: _ended(stage) for stage in record.stages}

    @property
    def stages(self) -> tuple[StageRecord, ...]:
        """What is remembered, in order."""
        return tuple(self._stages.values())

    def run(self, stage: Stage) -> StageRecord:
        """Run one stage, or keep its result where it still stands; its record is returned."""
        inputs = stage.inputs()
        before = self._stages.get(stage.name)
        same = before is not None and before.inputs == inputs
        finished = before is not None and before.status in ("done", "kept")
        complete = bool(stage.outputs) and all(path.exists() for path in stage.outputs)
        if before is not None and same and finished and complete:
            return self._put(replace(before, status="kept"))
        goes_on = before is not None and (not stage.outputs or (same and not finished))
        spent = before.seconds if before is not None and goes_on else 0.0
        with self._timed(stage.name, spent, inputs) as said:
            said.append(stage.work() or "")
        return self._stages[stage.name]

    @contextmanager
    def _timed(self, name: str, spent: float, inputs: str) -> Iterator[list[str]]:
        began = time.monotonic()
        self._put(StageRecord(name, spent, "running", inputs))
        status: Status = "failed"
        said: list[str] = []
        try:
            yield said
            status = "done"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            seconds = spent + time.monotonic() - began
            self._put(StageRecord(name, seconds, status, inputs, " ".join(said)))

    def _put(self, record: StageRecord) -> StageRecord:
        self._stages[record.stage] = record
        write_json(self._path, JobRecord(self.config, self.stages))
        return record


def _ended(stage: StageRecord) -> StageRecord:
    """A stage that a former process began: if it was killed, nobody wrote down that it goes on no more."""
    return replace(stage, status="interrupted") if stage.status == "running" else stage
