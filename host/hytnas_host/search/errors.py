"""Errors of the search."""

from hytnas_agent.errors import HytnasError


class SearchError(HytnasError):
    """A search cannot be set up, or was told something that cannot be used."""


class ConstraintError(SearchError):
    """A constraint cannot be read, or names something nobody can compute."""


class EvaluationError(SearchError):
    """An evaluator cannot give usable values for an architecture."""


class CheckpointError(SearchError):
    """A checkpoint cannot be read, or belongs to a search with another configuration."""
