"""Fit the draws of the parameters to the part of the evidence that may be fitted."""
