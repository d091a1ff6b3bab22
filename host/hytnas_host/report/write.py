"""Write the report of a study into its folder."""

from pathlib import Path

from hytnas_agent.whole_file import write_whole
from hytnas_host.report.load import ReportError, load_report_data
from hytnas_host.report.page import FIGURE_FOLDER, build_report, write_figures

REPORT_FILE = "report.html"


def write_report(study_folder: Path) -> Path:
    """Write ``report.html`` and ``figures/`` into the study's folder; returns the page's path.

    The page appears whole or not at all: it is written beside its place and moved there.

    Raises
    ------
    StudyError, ReportError
        The study cannot be read, or the report cannot be written.
    """
    data = load_report_data(study_folder)
    page = study_folder / REPORT_FILE
    try:
        write_figures(data, study_folder / FIGURE_FOLDER)
        write_whole(page, build_report(data).encode())
    except OSError as error:
        raise ReportError(
            f"the report cannot be written into {study_folder} ({error.strerror})",
            "Make room or give write permission, then run: hytnas-profile report",
        ) from error
    return page
