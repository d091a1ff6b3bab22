"""Search spaces as data: named variables with ordered choices, constraints between them, and a size."""

from hytnas_datasets.spaces.space import Architecture, Space, Variable

__all__ = ["Architecture", "Space", "Variable"]
