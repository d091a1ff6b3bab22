"""Families by name: the bundled ones, and those of installed packages.

Other packages offer families by entry points of the group ``hytnas.families``, each a `Family` of that name.
"""

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from hytnas_agent.registry import Registry
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.families.family import Family

if TYPE_CHECKING:  # these modules need the registry of families at run time
    from hytnas_datasets.plan.task import Task
    from hytnas_datasets.spaces.space import Space

FAMILIES: Final[Registry[Family]] = Registry(
    "hytnas.families",
    "network family",
    {
        "hyt": "hytnas_datasets.families.hyt:HYT_FAMILY",
        "none": "hytnas_datasets.families.none:NO_NETWORKS",
    },
    error=SpaceError,
    accepts=lambda found: isinstance(found, Family),
)


def list_families() -> tuple[str, ...]:
    """Names of the families, the bundled ones first.

    >>> list_families()[:2]
    ('hyt', 'none')
    """
    return FAMILIES.names()


def get_family(name: str) -> Family:
    """The family of this name; raises SpaceError for unknown ones and those that cannot be imported."""
    return FAMILIES.get(name)


def check_family(space: "Space") -> None:
    """Raise SpaceError unless the space's family exists and can build its architectures."""
    get_family(space.family).check(space)


def has_networks(space: "Space") -> bool:
    """Whether the architectures of the space are networks, so that they have layer plans."""
    return get_family(space.family).has_networks


def task_for(space: "Space", resolution: int | None = None, classes: int | None = None) -> "Task":
    """The default task of the space's family, with another resolution or number of classes where given."""
    chosen = {"resolution": resolution, "classes": classes}
    known = {name: value for name, value in chosen.items() if value is not None}
    return replace(get_family(space.family).default_task, **known)
