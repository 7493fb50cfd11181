"""Measurements behind every claim of speed: ratios in one run, by CPU clock. `python -m benchmarks WHAT`."""
