"""The space of a study's search, kept beside its result, so that what comes after the search finds it.

The result names the space alone. A space from a TOML file is known by its name only to the command that was
given the file.
"""

from hytnas_agent.whole_file import write_whole
from hytnas_datasets.spaces import Space, get_space, to_toml
from hytnas_host.search.result import SearchResult
from hytnas_host.study_files import StudyFiles, check_replaceable


def keep_space(files: StudyFiles, space: Space) -> None:
    """Write the space that was searched into the study, before the search's result.

    Raises ResultFileError, as `check_space_replaceable`.
    """
    check_space_replaceable(files, space)
    write_whole(files.searched_space, to_toml(space).encode())


def check_space_replaceable(files: StudyFiles, space: Space) -> None:
    """Refuse another space in the file if no search has left it: there is no result beside it.

    Raises
    ------
    ResultFileError
        Such a file is there.
    """
    same = to_toml(space).encode()
    check_replaceable(files.searched_space, lambda content: content == same or files.search.exists())


def searched_space(files: StudyFiles, result: SearchResult) -> Space:
    """The space that ``result`` is of.

    Raises
    ------
    SpaceError
        The study does not hold it and nobody else knows it, or another one has its name here.
    """
    if files.searched_space.is_file() and (kept := get_space(files.searched_space)).name == result.space:
        return kept
    return get_space(result.space)
