"""Errors of exporting and reading model files."""

from hytnas_agent.errors import HytnasError


class ExportError(HytnasError):
    """A network could not be exported, or its export does not compute what the network computes."""


class ModelFileError(HytnasError):
    """A model file cannot be read, or is not what it says it is."""
