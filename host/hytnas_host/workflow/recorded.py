"""Studies opened for writing, with the run that writes registered in them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hytnas_datasets.store import Study
from hytnas_host.workflow.environment import environment


@contextmanager
def recorded_study(study: Path, command: str, config: Mapping[str, Any]) -> Iterator[Study]:
    """The study, open; what is added to it carries the id of this run.

    Parameters
    ----------
    study : Path
    command : str
        The command that writes, without its options.
    config : mapping
        Its options, as JSON knows them.
    """
    with Study.open(study) as opened:
        run = opened.runs.begin(command, dict(config), environment())
        status = "failed"
        try:
            yield opened
            status = "done"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            opened.runs.end(run, status)
