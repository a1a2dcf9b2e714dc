"""Verbs that this paper adds to the command line."""
