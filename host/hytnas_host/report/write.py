"""Write the report of a study into its folder, or another one."""

from pathlib import Path

from hytnas_agent.errors import HytnasError
from hytnas_agent.whole_file import write_whole
from hytnas_host.report.load import load_report_data
from hytnas_host.report.page import build_report, draw_figures, write_figures
from hytnas_host.study_files import ResultFileError, StudyFiles, check_replaceable

_TITLE = b"HyT-NAS report</title>"


class ReportError(HytnasError):
    """The report cannot be written."""


def write_report(study_folder: Path, out: Path | None = None, *, keep_hostnames: bool = False) -> Path:
    """Write ``report.html`` and ``figures/`` into the study's folder, or ``out``; returns the page's path.

    The page appears whole or not at all. Figures are of the toolkit where a page is beside them. With ``out``
    nothing is written into the study. Host names, user names and places on a disk are left out unless
    ``keep_hostnames``.

    Raises
    ------
    StudyError, ResultFileError
        The study, or a result beside it, cannot be read; or what is there is no report.
    ReportError
        The report cannot be written.
    """
    data = load_report_data(study_folder, keep_hostnames=keep_hostnames)
    files = StudyFiles(study_folder if out is None else out)
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
        check_replaceable(files.report, lambda content: _TITLE in content)
        if not files.report.exists():
            _check_no_figures(files.figures)
        files.figures.mkdir(exist_ok=True)  # what is in the way is told before anything is drawn
        figures = draw_figures(data)
        write_whole(files.report, build_report(data, figures).encode())
        write_figures(data, files.figures, figures)
    except OSError as error:
        raise ReportError(
            f"the report cannot be written into {files.folder} ({error.strerror})",
            "Make room or give write permission, or name a folder with: hytnas-profile report --out FOLDER",
        ) from error
    return files.report


def _check_no_figures(folder: Path) -> None:
    """Refuse a folder of somebody else's; raises ResultFileError."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ResultFileError(
            f"{folder} holds files, but there is no report beside it",
            "Move it away, or name another folder with --study",
        )
