"""Errors of spaces, plans and the study store."""

from hytnas_agent.errors import HytnasError


class SpaceError(HytnasError):
    """A space, an architecture or a choice that does not exist or breaks a constraint."""


class PlanError(HytnasError):
    """An architecture cannot be built for the task."""


class StudyError(HytnasError):
    """A study file cannot be read or written."""


class SchemaVersionError(StudyError):
    """The study file was written by another version of the schema."""


class DamagedRowsWarning(UserWarning):
    """Rows of a study file cannot be read and are left out."""


class NotEnoughDataError(HytnasError):
    """The study holds too few labels for what was asked."""


class DataSetError(HytnasError):
    """A data set in files is missing, damaged, or of another kind than expected."""


class ModelGraphError(HytnasError):
    """The graph of a model file does not say how much work its operators are."""
