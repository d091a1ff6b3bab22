"""The picks of a search as models of the study."""

import numpy as np
import pytest

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Purpose, Study
from hytnas_host.search.result import Objective, Pick, SearchResult
from hytnas_host.study_files import ResultFileError, StudyFiles, write_json
from hytnas_host.workflow.picked import picked_models


def search_with(*picks: Pick) -> SearchResult:
    objectives = (Objective("latency_ms", "ms", "min"), Objective("accuracy", "fraction", "max"))
    return SearchResult(
        "hyt", "hyt", 0, Task(resolution=64), objectives, (), (9.0, 0.0), (), (), (), picks, 1.0
    )


def test_picks_are_exported_once_each(tmp_path, exports_here):
    space = get_space("hyt")
    one, two = (space.format(a) for a in space.sample(2, np.random.default_rng(2)))
    with Study.open(tmp_path) as study:
        picks = (Pick("BL", one, (1.0, 0.5)), Pick("O", two, (2.0, 0.6)), Pick("BA", one, (1.0, 0.5)))
        write_json(StudyFiles(tmp_path).search, search_with(*picks))
        models = picked_models(study, seed=0)
        assert [model.path.is_file() for model in models] == [True, True]
        assert [space.format(a) for a, _ in study.architectures.of(Purpose.PICKS)] == [one, two]
        assert picked_models(study, seed=0) == models


def test_without_a_search_the_command_for_it_is_named(tmp_path):
    with Study.open(tmp_path) as study, pytest.raises(ResultFileError, match="hytnas-profile search"):
        picked_models(study, seed=0)
