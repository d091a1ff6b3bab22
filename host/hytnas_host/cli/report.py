"""`hytnas-profile report`: the HTML report."""

import typer

from hytnas_host.cli.console import out
from hytnas_host.cli.options import DEFAULT_STUDY, StudyOption


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(report)


def report(study: StudyOption = DEFAULT_STUDY) -> None:
    """Write one self-contained HTML file about the study, and its figures as SVG and PNG.

    Example: hytnas-profile report --study runs/default
    """
    from hytnas_host.report import write_report

    out.print(f"report: {write_report(study).resolve()}", highlight=False)
