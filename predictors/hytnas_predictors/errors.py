"""Errors of the predictors."""

from hytnas_agent.errors import HytnasError


class PredictorError(HytnasError):
    """A predictor cannot be made, fitted, saved or loaded."""


class PredictorMismatchError(PredictorError):
    """A saved predictor belongs to another space or another device context.

    Attributes
    ----------
    fields : tuple of str
        The names of the fields that differ.
    """

    def __init__(self, what: str, next_step: str | None = None, *, fields: tuple[str, ...] = ()) -> None:
        super().__init__(what, next_step)
        self.fields = fields
