"""Tables of single models' latencies, on the terminal and as CSV."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.output import plain
from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.store.table_files import write_csv
from hytnas_host.cli.console import LONGEST_NAME, out, print_table
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.label_rows import LabelRow

WIDE: Final = 132
WITH_REASONS: Final = 180
"""Console columns from which the interval is a column, and reasons are: below, these follow the table."""

MAX_REASON_CHARACTERS: Final = 200


def print_label_rows(rows: Sequence[LabelRow]) -> None:
    """Print a table for each kind of files and device, whose latencies compare, with the reasons."""
    tables: dict[str, list[LabelRow]] = {}
    for row in rows:
        tables.setdefault(_title(row), []).append(row)
    for title, some in sorted(tables.items(), key=lambda item: not item[1][0].device):
        columns = _columns(some)
        print_table(title, list(columns), list(zip(*columns.values(), strict=True)))
        if out.width < WITH_REASONS:
            for row in some:
                shapes = f"input {plain(row.shapes)}" if row.shapes else ""
                said = "; ".join(filter(None, (shapes, _short(row.reason))))
                if said:
                    out.print(f"{_name(row)}: {said}", markup=False, soft_wrap=True)


def write_label_rows(rows: Iterable[LabelRow], path: Path) -> None:
    """Write all fields of the rows to a CSV file; raises CollectError where it cannot be written."""
    try:
        write_csv(path, [msgspec.structs.asdict(row) for row in rows])
    except OSError as error:
        raise CollectError(
            f"{path} cannot be written: {error.strerror or error}", "Name another file with --csv"
        ) from error


def _title(row: LabelRow) -> str:
    how = f" ({EXECUTION_WORDS[row.execution]})" if row.execution else ""
    on = f" on {row.device}{how}" if row.device else ": no latency"
    return f"{row.kind}{on}" if row.kind else "no models, or not read"


def _columns(rows: Sequence[LabelRow]) -> dict[str, list[str]]:
    """The cells of each column; on a narrow terminal the interval is half its width, and words follow."""
    columns = {"file": [_name(row) for row in rows]}
    if any(row.device for row in rows):
        columns["median ms"] = [_figure(row.median_ms) for row in rows]
        if out.width >= WIDE:
            columns["95 % interval"] = [_interval(row) for row in rows]
        else:
            columns["95 %"] = [
                "" if row.half_width is None else f"±{100 * row.half_width:.1f} %" for row in rows
            ]
        columns["p90 ms"] = [_figure(row.p90_ms) for row in rows]
        columns["cold ms"] = [_figure(row.cold_ms) for row in rows]
        columns["peak MiB"] = [_mebibytes(row.peak_rss_bytes) for row in rows]
    columns["outcome"] = [row.outcome for row in rows]
    if out.width >= WITH_REASONS:
        if any(row.shapes for row in rows):
            columns["input"] = [plain(row.shapes) for row in rows]
        columns["reason"] = [_short(row.reason) for row in rows]
    return columns


def _interval(row: LabelRow) -> str:
    if row.ci_low_ms is None or row.ci_high_ms is None:
        return ""
    return f"{_figure(row.ci_low_ms)} to {_figure(row.ci_high_ms)}"


def _mebibytes(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.1f}"


def _figure(value_ms: float | None) -> str:
    """As `hytnas-agent measure` prints it."""
    return "" if value_ms is None else f"{value_ms:.4g}"


def _name(row: LabelRow) -> str:
    """The name on one line, without the middle of a long one."""
    name = plain(row.file)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 13]}…{name[-12:]}"


def _short(reason: str) -> str:
    text = plain(reason)
    return text if len(text) <= MAX_REASON_CHARACTERS else f"{text[: MAX_REASON_CHARACTERS - 1]}…"
