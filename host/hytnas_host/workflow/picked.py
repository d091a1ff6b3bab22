"""The picks of a study's search as models of the study."""

from hytnas_datasets.plan import build_plan
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.exporting import Exporter
from hytnas_host.collect.model import Model
from hytnas_host.search.result import SearchResult
from hytnas_host.study_files import StudyFiles, read_json
from hytnas_host.workflow.predictors import measured_target
from hytnas_host.workflow.searched_space import searched_space


def picked_models(study: Study, *, seed: int) -> list[Model]:
    """The models of the search's picks, exported as the measured ones were where the study lacks them.

    Raises
    ------
    ResultFileError
        No search has been run on the study.
    CollectError
        The search has no picks, or none could be exported.
    """
    files = StudyFiles(study.folder)
    result = read_json(files.search, SearchResult)
    space = searched_space(files, result)
    task = result.task
    chosen = dict.fromkeys(space.parse(pick.architecture) for pick in result.picks)
    networks = [(architecture, build_plan(architecture, task).hash) for architecture in chosen]
    study.architectures.add(space, [a for a, _ in networks], [h for _, h in networks], Purpose.PICKS)
    with Exporter(study, task, seed=seed, target=measured_target(study.folder)) as exporter:
        models = exporter.prepare(networks)
    if not models:
        raise CollectError(
            "the search has no pick that could be exported", "search with objectives of latency and accuracy"
        )
    return models
