"""Spaces by name: the bundled ones, those registered by a program, and TOML files."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.bundled import HYT, HYT_MIXED, HYT_RELEASED
from hytnas_datasets.spaces.space import Space, suggestion
from hytnas_datasets.spaces.toml_file import load_toml

_SPACES: Final[dict[str, Space]] = {space.name: space for space in (HYT, HYT_RELEASED, HYT_MIXED)}
_ENTRY_POINTS: Final = "hytnas.spaces"


def list_spaces() -> tuple[str, ...]:
    """Names of the spaces that `get_space` knows: bundled, registered, and of installed packages."""
    installed = (entry.name for entry in entry_points(group=_ENTRY_POINTS))
    return tuple(dict.fromkeys((*_SPACES, *installed)))


def register(space: Space) -> Space:
    """Make a space known by its name in this process, and return it.

    Registering the same space again changes nothing.

    Raises
    ------
    SpaceError
        Where another space has that name, or no architecture meets the constraints.
    """
    known = _SPACES.get(space.name)
    if known is not None and known.hash() != space.hash():
        raise SpaceError(f"Another space is already named {space.name!r}", "Give this one a name of its own")
    assert space.size > 0
    return _SPACES.setdefault(space.name, space)


def get_space(name_or_path: str | Path) -> Space:
    """The space of this name, or the one in this TOML file (which is then registered under its name).

    Other packages offer spaces by entry points of the group ``hytnas.spaces``, each a `Space` of that name.

    Raises
    ------
    SpaceError
        For unknown names, and for files that cannot be read or do not describe a space.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in _SPACES:
        return _SPACES[text]
    for entry in entry_points(group=_ENTRY_POINTS, name=text):
        return register(_load(entry))
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        return register(load_toml(Path(name_or_path)))
    raise SpaceError(
        f"There is no space named {text!r}", f"{suggestion(text, list_spaces())}, or a path to a TOML file"
    )


def _load(entry: EntryPoint) -> Space:
    """The space behind an entry point of another package; raises SpaceError where there is none."""
    try:
        space = entry.load()
    except (ImportError, AttributeError) as error:
        raise SpaceError(
            f"The installed space {entry.name!r} ({entry.value}) cannot be loaded: {error}"
        ) from error
    if not isinstance(space, Space):
        raise SpaceError(f"The installed space {entry.name!r} ({entry.value}) is not a Space")
    return space
