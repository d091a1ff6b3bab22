"""Errors of preparing a board."""

from hytnas_agent.errors import HytnasError


class ProvisionError(HytnasError):
    """A board cannot be given an agent, or not now."""
