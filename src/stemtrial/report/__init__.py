"""Figures, tables and the HTML report of one run."""

from stemtrial.report.data import ReportData
from stemtrial.report.page import render_report, write_report

__all__ = ["ReportData", "render_report", "write_report"]
