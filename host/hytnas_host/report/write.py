"""Write the report of a study into its folder."""

from pathlib import Path

from hytnas_agent.errors import HytnasError
from hytnas_agent.whole_file import write_whole
from hytnas_host.report.load import load_report_data
from hytnas_host.report.page import build_report, write_figures
from hytnas_host.study_files import StudyFiles


class ReportError(HytnasError):
    """The report cannot be written."""


def write_report(study_folder: Path) -> Path:
    """Write ``report.html`` and ``figures/`` into the study's folder; returns the page's path.

    The page appears whole or not at all.

    Raises
    ------
    StudyError, ResultFileError
        The study, or a result beside it, cannot be read.
    ReportError
        The report cannot be written.
    """
    data = load_report_data(study_folder)
    files = StudyFiles(study_folder)
    try:
        write_figures(data, files.figures)
        write_whole(files.report, build_report(data).encode())
    except OSError as error:
        raise ReportError(
            f"the report cannot be written into {study_folder} ({error.strerror})",
            "Make room or give write permission, then run: hytnas-profile report",
        ) from error
    return files.report
