"""Measurements with bounds.

`python -m benchmarks.NAME` prints one line a figure and exits with 1 when a bound is missed.
"""
