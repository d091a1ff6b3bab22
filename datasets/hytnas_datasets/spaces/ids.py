"""Short ids of architectures: the name of the space, the rank in base 32, and two check digits.

The check digits are (rank + space hash) modulo the prime 1021. No single wrong digit and no two exchanged
neighbours go unnoticed, because 1021 divides neither a digit difference times a power of 32 nor one times 31;
the id of another version of a space of the same name is noticed in 1020 of 1021 cases.
"""

from typing import Final

from hytnas_datasets.errors import SpaceError

# Crockford's base 32: no i, l, o, u, so that nothing is misread.
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_MODULUS: Final = 1021
_CHECK_DIGITS: Final = 2


def _to_base32(value: int, width: int) -> str:
    return "".join(_DIGITS[(value >> 5 * i) & 31] for i in reversed(range(width)))


def _width(size: int) -> int:
    return max(1, -(-(size - 1).bit_length() // 5))


def format_id(name: str, space_hash: str, size: int, rank: int) -> str:
    """``name-`` and the rank in base 32 with two check digits; the same length throughout a space."""
    check = (rank + int(space_hash, 16)) % _MODULUS
    return f"{name}-{_to_base32(rank, _width(size))}{_to_base32(check, _CHECK_DIGITS)}"


def parse_id(text: str, name: str, space_hash: str, size: int) -> int:
    """The rank that `format_id` wrote.

    Raises
    ------
    SpaceError
        For ids of another space, of the wrong length, with foreign characters, or with a wrong check digit.
    """
    prefix, _, digits = text.strip().rpartition("-")
    if prefix != name:
        whose = (
            f"an architecture of space {prefix!r}, not of {name!r}" if prefix else "not an architecture id"
        )
        raise SpaceError(f"{text!r} is {whose}", f"Ids of this space begin with '{name}-'")
    digits = digits.lower()
    expected = _width(size) + _CHECK_DIGITS
    if len(digits) != expected or any(digit not in _DIGITS for digit in digits):
        raise SpaceError(
            f"Architecture id {text!r} is damaged: {expected} digits of {_DIGITS} belong after '{name}-'",
            "Copy the whole id again",
        )
    rank = 0
    for digit in digits[:-_CHECK_DIGITS]:
        rank = rank * 32 + _DIGITS.index(digit)
    if rank >= size or format_id(name, space_hash, size, rank) != f"{name}-{digits}":
        raise SpaceError(
            f"Architecture id {text!r} is damaged, or belongs to another version of space {name!r}",
            "Copy the id again, and use the space it was made with",
        )
    return rank
