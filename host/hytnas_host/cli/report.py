"""`hytnas-profile report`: the HTML report."""

from pathlib import Path
from typing import Annotated

import typer

from hytnas_host.cli.console import out
from hytnas_host.cli.options import DEFAULT_STUDY, KeepHostnamesOption, StudyOption


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the root command."""
    app.command()(report)


def report(
    study: StudyOption = DEFAULT_STUDY,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=(
                "Folder to write to; by default the study's own. Name one where you may not write into the "
                "study."
            ),
            show_default=False,
        ),
    ] = None,
    keep_hostnames: KeepHostnamesOption = False,
) -> None:
    """Write one self-contained HTML file about the study, and its figures as SVG and PNG.

    Examples:

      hytnas-profile report --study runs/default

      hytnas-profile report --study /mnt/archive/pi --out ./pi-report
    """
    from hytnas_host.report import write_report

    out.print(
        f"report: {write_report(study, folder, keep_hostnames=keep_hostnames).resolve()}", highlight=False
    )
