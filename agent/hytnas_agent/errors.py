"""The root of the toolkit's exception family: what happened, and what the person can do next."""


class HytnasError(Exception):
    """A failure that is explained to the person in one line.

    Parameters
    ----------
    what : str
        What happened and where, without a trailing full stop.
    next_step : str, optional
        What the person can do about it.
    """

    def __init__(self, what: str, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}. {self.next_step}" if self.next_step else self.what


class AgentError(HytnasError):
    """The agent cannot do what it was asked."""
