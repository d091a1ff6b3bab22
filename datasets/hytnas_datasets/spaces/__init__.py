"""Search spaces as data: named variables with ordered choices, constraints between them, and a size."""

from hytnas_datasets.spaces.bundled import ATTENTION, CONVOLUTION, HYT, HYT_MIXED, HYT_RELEASED
from hytnas_datasets.spaces.constraints import Bounded, Constraint, Forbidden, Ordering
from hytnas_datasets.spaces.registry import get_space, list_spaces, register
from hytnas_datasets.spaces.space import INACTIVE, Architecture, Choice, Space, Variable, When
from hytnas_datasets.spaces.toml_file import load_toml, parse_toml, to_toml

__all__ = [
    "ATTENTION",
    "CONVOLUTION",
    "HYT",
    "HYT_MIXED",
    "HYT_RELEASED",
    "INACTIVE",
    "Architecture",
    "Bounded",
    "Choice",
    "Constraint",
    "Forbidden",
    "Ordering",
    "Space",
    "Variable",
    "When",
    "get_space",
    "list_spaces",
    "load_toml",
    "parse_toml",
    "register",
    "to_toml",
]
