"""The tables in the documentation are what the published journals say."""

from contextlib import ExitStack
from pathlib import Path

from few_undisturbed import PUBLISHED, worth
from noise.journal import Journal
from noise.markdown import markdown_of
from noise.report import analyse

DOCS = Path(__file__).parents[3] / "docs"


def test_the_documented_tables_come_from_the_published_journals() -> None:
    guide = (DOCS / "guide" / "noise-study.md").read_text().splitlines()
    tables = (PUBLISHED / "README.md").read_text().splitlines()
    decision = (DOCS / "decisions" / "health.md").read_text().splitlines()
    with ExitStack() as opened:
        journals = [
            opened.enter_context(Journal(path, writable=False)) for path in sorted(PUBLISHED.glob("*.xz"))
        ]
        assert journals
        rows = [line for line in markdown_of(analyse(journals)) if line]
        few = worth(journals)
    assert [line for line in tables if line.startswith("|")] == rows
    results = [line for line in guide[guide.index("## Results") :] if line.startswith("|")]
    assert results == rows[: len(results)]
    assert len(results) == 19, "the guide shows each method and our labels"
    assert len(rows) > 40
    for number in (0, 1, 2):
        of_number = [row for row in few if row["undisturbed"] == number]
        errors = " | ".join(f"{100 * row['rms']:.1f} %" for row in of_number)
        assert f"| {number} | {of_number[0]['stretches']} | {errors} |" in decision
