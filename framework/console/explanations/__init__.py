"""Explains in one sentence what is wrong with a command line, and where in its recipes."""
