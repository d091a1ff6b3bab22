"""Options of a strategy as people write them: ``kappa=0.5`` on the command line, or a TOML file."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hytnas_host.search.errors import SearchError

Option = str | int | float | bool

MAX_BYTES: Final = 64 * 1024


def parse_options(texts: Sequence[str], *, file: Path | None = None) -> dict[str, Option]:
    """Options by name; what is in ``texts`` goes before what is in the file.

    Parameters
    ----------
    texts : sequence of str
        ``name=value``; a value that is no TOML number or truth value is a text.
    file : Path, optional
        TOML with one value for each name.

    Raises
    ------
    SearchError
        Says what cannot be read.

    Examples
    --------
    >>> parse_options(["surrogate=gp", "kappa=0.5", "population=40"])
    {'surrogate': 'gp', 'kappa': 0.5, 'population': 40}
    """
    found = {} if file is None else _read(file)
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip().isidentifier():
            raise SearchError(f"Cannot read the option {text!r}", "Write for example 'kappa=0.5'")
        found[name.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Option:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, Option) else text


def _read(file: Path) -> dict[str, Option]:
    hint = "Write one 'name = value' in a line"
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SearchError(f"{file} is larger than {MAX_BYTES // 1024} KiB", hint)
        read: Mapping[str, object] = tomllib.loads(content.decode())
    except OSError as error:
        raise SearchError(f"{file} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SearchError(f"{file} is no TOML: {error}", hint) from error
    found: dict[str, Option] = {}
    for name, value in read.items():
        if not isinstance(value, Option):
            raise SearchError(f"{file}: {name} is no single text or number", hint)
        found[name] = value
    return found
