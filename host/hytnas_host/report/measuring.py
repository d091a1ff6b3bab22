"""How the latencies were measured: what labels rest on, in words, for the report and the terminal."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hytnas_datasets.store import LabelQuality
from hytnas_host.report.words import plural

MAX_REASONS: Final = 3


@dataclass(frozen=True)
class QualityRow:
    """A line of the table: what is counted, the counts in the order of the columns, and what they mean.

    ``part`` marks a line that counts a part of one before it, ``warning`` one whose count is bad.
    """

    name: str
    counts: tuple[str, ...]
    meaning: str
    part: bool
    warning: bool


@dataclass(frozen=True)
class QualityTable:
    """What the labels rest on, a column for each device, and one for what it measured afresh.

    ``note`` names what was looked for and not found.
    """

    columns: tuple[str, ...]
    rows: tuple[QualityRow, ...]
    note: str
    title: str = "How the latencies were measured"


@dataclass(frozen=True)
class _Line:
    """How a line is made: its name, the count, what that means where it is not 0, and whether it is bad.

    One that is 0 everywhere is left to the note, in the words of ``absent``, where there are any.
    """

    name: str
    count: Callable[[LabelQuality], int]
    meaning: Callable[[Sequence[LabelQuality]], str] = lambda _: ""
    part: bool = True
    bad: bool = False
    absent: str = ""


def quality_table(qualities: Sequence[LabelQuality]) -> QualityTable | None:
    """The table, or ``None`` where nothing was measured."""
    if not qualities:
        return None
    names = {one.device_id: one.name or one.device_id for one in qualities}
    columns = tuple(names[one.device_id] + (", verification" if one.afresh else "") for one in qualities)
    shown = [line for line in _LINES if not line.absent or any(map(line.count, qualities))]
    none = [line.absent for line in _LINES if line not in shown]
    return QualityTable(
        columns,
        tuple(_row(line, qualities) for line in shown),
        f"None: {'; '.join(none)}." if none else "",
    )


def _row(line: _Line, qualities: Sequence[LabelQuality]) -> QualityRow:
    counts = [line.count(one) for one in qualities]
    seen = [one for one, count in zip(qualities, counts, strict=True) if count]
    meaning = line.meaning(seen) if seen else ""
    return QualityRow(line.name, tuple(map(str, counts)), meaning, line.part, line.bad and bool(seen))


def _absent(seen: Sequence[LabelQuality]) -> str:
    probes = ", ".join(dict.fromkeys(name for one in seen for name in one.absent))
    return f"Nothing here looks for: {probes}. Unknown is not healthy."


def _reasons(seen: Sequence[LabelQuality]) -> str:
    total: Counter[str] = Counter()
    for one in seen:
        total.update(one.reasons)
    words = "; ".join(f"{reason} ({number})" for reason, number in total.most_common(MAX_REASONS))
    others = len(total) - MAX_REASONS
    rest = f"; {plural(others, 'other reason')}" if others > 0 else ""
    return f"Commonest: {words}{rest}."


def _says(text: str) -> Callable[[Sequence[LabelQuality]], str]:
    return lambda _: text


_LINES: Final = (
    _Line(
        "Labels with a latency",
        lambda q: q.labels,
        _says("Each is counted once below, by the worst verdict on the processes it rests on."),
        part=False,
    ),
    _Line("VALID: every probe there, nothing seen", lambda q: q.valid),
    _Line("VALID_UNVERIFIED: nothing seen, but probes are absent", lambda q: q.unverified, _absent),
    _Line(
        "not judged",
        lambda q: q.not_judged,
        _says("No verdict on the device's health came with the processes: what disturbed them is unknown."),
        bad=True,
        absent="labels of processes that were not judged",
    ),
    _Line(
        "disturbed, as too few undisturbed processes could be had",
        lambda q: q.disturbed,
        _says(
            "They are of one or two processes, or of a disturbed one, and then too slow. Find what else runs "
            "there (hytnas-profile device doctor) and measure anew."
        ),
        bad=True,
    ),
    _Line(
        "Labels that are UNSTABLE: the interval did not get as narrow as asked for",
        lambda q: q.unstable,
        _says(
            "They are kept and marked (hollow in figures), and count like the others unless --stable-only "
            "leaves them out. The same command with a larger --max-processes goes on with them."
        ),
        part=False,
        bad=True,
    ),
    _Line(
        "Labels of a fixed number of processes",
        lambda q: q.untargeted,
        _says("No width of the interval was asked for: they are not UNSTABLE, however wide it is."),
        part=False,
        absent="labels of a fixed number of processes",
    ),
    _Line(
        "Labels with processes from before the last change of speed that lasted",
        lambda q: q.former_speed,
        _says("The device has run at another speed since: compare them with later ones with care."),
        part=False,
        bad=True,
        absent="labels from before a lasting change of speed",
    ),
    _Line(
        "Labels with processes that were discarded afterwards",
        lambda q: q.stale,
        _says("A drift was found after they were made. The same command measures and labels them again."),
        part=False,
        bad=True,
        absent="labels that rest on discarded processes",
    ),
    _Line(
        "Timed processes that went well",
        lambda q: q.processes,
        _says("The canary's are not counted here."),
        part=False,
    ),
    _Line("INVALID: something disturbed the device meanwhile", lambda q: q.invalid, _reasons),
    _Line(
        "INVALID, and measured again for it",
        lambda q: q.retried,
        _says("Three times at most; where every attempt was disturbed, the fastest stands."),
        absent="processes measured again for a disturbance",
    ),
    _Line(
        "discarded for a drift of the canary, and measured again",
        lambda q: q.discarded,
        _says("The device was at another speed meanwhile (red in the figure of the canary)."),
    ),
    _Line(
        "timed before a steady state was reached",
        lambda q: q.unsteady,
        _says("The warm-up was cut off at its cap: latencies still moved when timing began."),
        absent="processes that were timed before a steady state was reached",
    ),
    _Line(
        "Changes of the device's speed that lasted",
        lambda q: q.speed_changes,
        _says("Measuring went on at the new speed, so that labels from before and after are not alike."),
        part=False,
        bad=True,
        absent="lasting changes of the device's speed",
    ),
)
