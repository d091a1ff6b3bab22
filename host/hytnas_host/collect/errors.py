"""Errors of collecting."""

from hytnas_agent.errors import HytnasError


class CollectError(HytnasError):
    """There is nothing that could be collected."""
