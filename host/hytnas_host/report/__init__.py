"""The report of a study: one self-contained HTML page, and its figures as files."""

from hytnas_host.report.data import ReportData
from hytnas_host.report.load import load_report_data
from hytnas_host.report.page import build_report, write_figures
from hytnas_host.report.write import ReportError, write_report

__all__ = ["ReportData", "ReportError", "build_report", "load_report_data", "write_figures", "write_report"]
