"""The table of faults: what was done and what became of it, written by the run that did it."""

import json
from pathlib import Path

FIELDS = ("fault", "provoked", "outcome")


class FaultTable:
    """Rows in the order the tests ran."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def add(self, fault: str, provoked: str, outcome: str) -> None:
        """Append a fault that was survived; called at the end of its test."""
        self.rows.append(dict(zip(FIELDS, (fault, provoked, outcome), strict=True)))

    def write(self, file: Path) -> None:
        """Write the rows as JSON, or as Markdown where the name ends in ``.md``."""
        if file.suffix != ".md":
            file.write_text(json.dumps(self.rows, indent=2) + "\n")
            return
        lines = ["| fault | how it was provoked | outcome |", "|---|---|---|"]
        lines += ["| " + " | ".join(row[field] for field in FIELDS) + " |" for row in self.rows]
        file.write_text("\n".join(lines) + "\n")
