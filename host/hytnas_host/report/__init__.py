"""The report of a study: one self-contained HTML page, and its figures as files."""

from hytnas_host.report.data import ReportData
from hytnas_host.report.page import build_report, write_figures

__all__ = ["ReportData", "build_report", "write_figures"]
