"""A space from a TOML file is known to the commands after the search, which are processes of their own."""

import pytest

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import HYT, Space, Variable, get_space, parse_toml, registry
from hytnas_host.search.result import SearchResult
from hytnas_host.study_files import ResultFileError, StudyFiles
from hytnas_host.workflow.searched_space import keep_space, searched_space

SPACE = Space("searched-only", (Variable("depth", (1, 2, 3)),), family="none")


def result_of(space):
    return SearchResult(space.name, "random", 0, Task(resolution=32), (), (), (), (), (), (), (), 0.0)


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})


def test_it_is_found_beside_the_result(tmp_path):
    files = StudyFiles(tmp_path)
    with pytest.raises(SpaceError, match="no space named 'searched-only'"):
        searched_space(files, result_of(SPACE))
    keep_space(files, SPACE)
    assert parse_toml((tmp_path / "search-space.toml").read_text()) == SPACE
    assert searched_space(files, result_of(SPACE)) == SPACE == get_space("searched-only")


def test_a_bundled_space_is_the_bundled_one(tmp_path):
    files = StudyFiles(tmp_path)
    assert searched_space(files, result_of(HYT)) is HYT
    keep_space(files, HYT)
    assert searched_space(files, result_of(HYT)) is HYT


def test_the_space_of_a_search_that_was_cut_off_before_its_result_is_not_taken(tmp_path):
    keep_space(StudyFiles(tmp_path), SPACE)
    assert searched_space(StudyFiles(tmp_path), result_of(HYT)) is HYT


def test_another_space_of_the_name_is_refused(tmp_path):
    keep_space(StudyFiles(tmp_path), Space("hyt", (Variable("depth", (1, 2)),), family="none"))
    with pytest.raises(SpaceError, match="Another space is already named 'hyt'"):
        searched_space(StudyFiles(tmp_path), result_of(HYT))


def test_a_space_that_no_search_has_left_is_not_written_over(tmp_path):
    files = StudyFiles(tmp_path)
    files.searched_space.write_text("# my own space")
    with pytest.raises(ResultFileError, match=r"search-space\.toml is there already"):
        keep_space(files, SPACE)
    assert files.searched_space.read_text() == "# my own space"
    files.search.touch()  # a search has been here
    keep_space(files, SPACE)
    assert parse_toml(files.searched_space.read_text()) == SPACE
