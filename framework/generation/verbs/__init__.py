"""Verbs of the command line about texts."""
