"""What the suites share: a call is refused as it should be, or the reason is given."""

import pytest

from hytnas_agent.conformance import refused
from hytnas_agent.errors import AgentError, HytnasError


def fail(error: Exception) -> object:
    raise error


def test_the_error_comes_back() -> None:
    error = AgentError("the board is busy", "Wait")
    assert refused(HytnasError, lambda: fail(error), "busy.*Wait") is error


def test_another_text_is_named() -> None:
    with pytest.raises(AssertionError, match="'the board is busy' does not say 'absent'"):
        refused(AgentError, lambda: fail(AgentError("the board is busy")), "absent")


def test_what_is_not_refused_is_named() -> None:
    with pytest.raises(AssertionError, match="a AgentError about 'busy' was expected, and 7 came back"):
        refused(AgentError, lambda: 7, "busy")


def test_another_kind_of_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        refused(AgentError, lambda: 1 // 0)
