"""Numbers as people read them: three significant digits, units, no-break spaces."""

import math

from hytnas_datasets.targets import Target

NBSP = "\u00a0"
MINUS = "\u2212"


def significant(value: float, digits: int = 3) -> str:
    """``value`` to so many significant digits, without an exponent; a dash where it is not finite.

    >>> significant(2.4051), significant(18.349), significant(1234.5)
    ('2.41', '18.3', '1234')
    """
    if not math.isfinite(value):
        return "\u2013"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:.{decimals}f}".replace("-", MINUS)


def quantity(value: float, target: Target) -> str:
    """A label or prediction of ``target`` in the unit in which reports show it."""
    shown = target.display
    if shown.unit == "%":
        return percent(value * shown.factor)
    return f"{significant(value * shown.factor)}{NBSP}{shown.unit}"


def difference(value: float, target: Target, decimals: int = 1, *, signed: bool = False) -> str:
    """A difference of two labels of ``target``: of two percentages it is in points, with ``decimals``."""
    shown = target.display
    scaled = value * shown.factor
    plus = "+" if signed and scaled >= 0 else ""
    if shown.unit == "%":
        return f"{plus}{scaled:.{decimals}f}{NBSP}points".replace("-", MINUS)
    return f"{plus}{significant(scaled)}{NBSP}{shown.unit}"


def milliseconds(value: float | None) -> str:
    """A latency with its unit."""
    return "\u2013" if value is None else f"{significant(value)}{NBSP}ms"


def percent(value: float | None, decimals: int = 1) -> str:
    """A value that is in percent already."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    return f"{value:.{decimals}f}{NBSP}%".replace("-", MINUS)


def signed_percent(value: float | None, decimals: int = 1) -> str:
    """A deviation in percent, always with its sign."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    return f"{value:+.{decimals}f}{NBSP}%".replace("-", MINUS)


def count(value: float, digits: int = 3) -> str:
    """A count in thousands or millions where it is large.

    >>> count(187_400), count(2_710_000), count(94)
    ('187\\xa0k', '2.71\\xa0M', '94')
    """
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{significant(value / limit, digits)}{NBSP}{suffix}"
    return f"{value:.0f}"


def memory(size_bytes: int) -> str:
    """A size in binary units."""
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size_bytes >= limit:
            return f"{significant(size_bytes / limit)}{NBSP}{unit}"
    return f"{size_bytes}{NBSP}B"


def duration(seconds: float) -> str:
    """A duration in minutes and seconds.

    >>> duration(3.24), duration(65), duration(3725)
    ('3.2\\xa0s', '1\\xa0min\\xa05\\xa0s', '1\\xa0h\\xa02\\xa0min')
    """
    if seconds < 60:
        return f"{seconds:.1f}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min{NBSP}{rest}{NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{NBSP}h{NBSP}{minutes}{NBSP}min"


def plural(number: int, singular: str, many: str | None = None) -> str:
    """``number`` and the noun in the right form."""
    return f"{number}{NBSP}{singular if number == 1 else many or singular + 's'}"
