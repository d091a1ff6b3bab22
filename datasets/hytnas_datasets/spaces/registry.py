"""Spaces by name: bundled, of installed packages, registered by a program, or from TOML files."""

from pathlib import Path
from typing import Final

from hytnas_agent.registry import Registry, suggestion
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families.registry import check_family
from hytnas_datasets.spaces.space import Space
from hytnas_datasets.spaces.toml_file import load_toml

SPACES: Final[Registry[Space]] = Registry(
    "hytnas.spaces",
    "space",
    {
        "hyt": "hytnas_datasets.spaces.bundled:HYT",
        "hyt-released": "hytnas_datasets.spaces.bundled:HYT_RELEASED",
        "hyt-mixed": "hytnas_datasets.spaces.bundled:HYT_MIXED",
    },
    error=SpaceError,
    accepts=lambda found: isinstance(found, Space),
)
_REGISTERED: Final[dict[str, Space]] = {}


def list_spaces() -> tuple[str, ...]:
    """Names of the spaces that `get_space` knows: bundled, of installed packages, and registered.

    Examples
    --------
    >>> list_spaces()[:3]
    ('hyt', 'hyt-released', 'hyt-mixed')
    """
    return tuple(dict.fromkeys((*SPACES.names(), *_REGISTERED)))


def register(space: Space) -> Space:
    """Make a space known by its name in this process, and return it.

    Registering the same space again changes nothing.

    Raises
    ------
    SpaceError
        Where another space has that name, or no architecture meets the constraints.
    """
    known = _find(space.name)
    if known is not None and known.hash() != space.hash():
        raise SpaceError(f"Another space is already named {space.name!r}", "Give this one a name of its own")
    assert space.size > 0
    return _REGISTERED.setdefault(space.name, space)


def get_space(name_or_path: str | Path) -> Space:
    """The space of this name, or the one in this TOML file (which is then registered under its name).

    Other packages offer spaces by entry points of the group ``hytnas.spaces``, each a `Space` of that name.

    Raises
    ------
    SpaceError
        For unknown names, and for files that cannot be read or do not describe a space.

    Examples
    --------
    >>> get_space("hyt").size
    1224440064
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and (known := _find(text)):
        return known
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        return register(load_toml(Path(name_or_path)))
    raise SpaceError(
        f"There is no space named {text!r}", f"{suggestion(text, list_spaces())}, or a path to a TOML file"
    )


def _find(name: str) -> Space | None:
    """The space that was registered under this name, else the bundled or installed one."""
    if name not in _REGISTERED and name in SPACES:
        space = SPACES.get(name)
        if space.name != name:
            raise SpaceError(
                f"The installed space {name!r} calls itself {space.name!r}", "Its package has to use one name"
            )
        check_family(space)
        _REGISTERED[name] = space
    return _REGISTERED.get(name)
