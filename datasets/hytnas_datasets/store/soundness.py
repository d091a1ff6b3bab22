"""What a stored record must be beside its type, so that whatever reads it may reckon with its numbers."""

import math
from typing import Any, Final

import msgspec

from hytnas_agent.label.plausible import MAX_NUMBER, MAX_UNIX_S
from hytnas_agent.records import LatencyLabel, ProcessResult
from hytnas_datasets.store.records import AccuracyRecord

_AMOUNTS: Final = ("_ms", "_us", "_s", "_j", "_bytes", "_mhz")
"""Ends of the names of durations, energies, sizes and clocks: finite and not negative."""

_UNLIMITED: Final = frozenset({"seed", "input_seed", "signal"})


def find_fault(record: object) -> str | None:
    """What about a decoded record cannot be; ``None`` where it is sound.

    Examples
    --------
    >>> from hytnas_agent.records import HealthSnapshot
    >>> find_fault(HealthSnapshot(at_unix_s=1.0, clock_mhz=-5.0))
    'clock_mhz is -5.0'
    """
    fault = _of_kind(record)
    if fault is not None:
        return fault
    if isinstance(record, ProcessResult | LatencyLabel):  # `plausible` judges them
        return None
    if isinstance(record, msgspec.Struct):
        fields = ((name, getattr(record, name)) for name in record.__struct_fields__)
        return next((fault for name, value in fields if (fault := _of_field(name, value))), None)
    return None


def check_time(at_unix_s: float | None) -> str | None:
    """What is wrong with a time in seconds since 1970; ``None`` where nothing is."""
    if at_unix_s is None or 0.0 <= at_unix_s <= MAX_UNIX_S:
        return None
    return f"a time of {at_unix_s} s"


def _of_field(name: str, value: Any) -> str | None:
    if isinstance(value, msgspec.Struct):
        return find_fault(value)
    if isinstance(value, tuple | list):
        return next((fault for item in value if (fault := _of_field(name, item))), None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _of_number(name, value)


def _of_number(name: str, value: float) -> str | None:
    if name.endswith("_unix_s"):
        sound = check_time(value) is None
    elif name.endswith(_AMOUNTS):
        sound = 0 <= value <= MAX_NUMBER
    elif isinstance(value, int):
        sound = abs(value) <= MAX_NUMBER or name in _UNLIMITED
    else:
        sound = True
    return None if sound else f"{name} is {value}"


def _of_kind(record: object) -> str | None:
    """What one kind of record needs beside numbers that can be."""
    needed: dict[str, bool] = {}
    match record:
        case AccuracyRecord():
            fraction = record.accuracy
            needed = {
                "an accuracy in [0, 1]": fraction is None or (math.isfinite(fraction) and 0 <= fraction <= 1),
                "epochs": record.epochs >= 0,
                "test images": record.test_images > 0 or fraction is None,
            }
    missing = [what for what, there in needed.items() if not there]
    return f"it lacks {missing[0]}" if missing else None
