"""Credibility of a prediction for a context of use: what is asked, how much hangs on it, what speaks for the answer.

Everything is gathered from a finished run, the register of parameters, the evidence and, where they are given, a
scorecard and the report of a fit; what is not there is listed as missing. :mod:`stemtrial.report.credibility` shows it.
"""

from stemtrial.credibility.context import TEMPLATE, Context, load_context, risk_of
from stemtrial.credibility.gather import credibility
from stemtrial.credibility.run import Run, read_run, run_of
from stemtrial.credibility.sensitivity import drivers

__all__ = ["TEMPLATE", "Context", "Run", "credibility", "drivers", "load_context", "read_run", "risk_of", "run_of"]
