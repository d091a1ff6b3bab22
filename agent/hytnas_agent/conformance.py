"""What the conformance suites of the extension points share; they run under any test runner, or under none.

A suite is a tuple ``CHECKS`` of functions. Each takes the name under which something is registered and an
empty folder, and raises AssertionError with the reason where the thing does not conform. With pytest::

    import pytest
    from hytnas_agent.runtimes.conformance import CHECKS

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_runtime_conforms(check, tmp_path):
        check("my-runtime", tmp_path)
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hytnas_agent.errors import HytnasError

SuiteCheck = Callable[[str, Path], None]
E = TypeVar("E", bound=HytnasError)


def refused(kind: type[E], call: Callable[[], object], pattern: str = "") -> E:
    """The error that the call is refused with.

    Parameters
    ----------
    kind : type
        The error that is expected.
    call : callable without arguments
    pattern : str
        A regular expression that the error's text has to hold.

    Raises
    ------
    AssertionError
        If the call is not refused, or the text says something else.
    """
    try:
        result = call()
    except kind as error:
        if re.search(pattern, str(error)):
            return error
        raise AssertionError(f"the error {str(error)!r} does not say {pattern!r}") from error
    raise AssertionError(f"a {kind.__name__} about {pattern!r} was expected, and {result!r} came back")
