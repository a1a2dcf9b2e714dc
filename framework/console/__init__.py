"""The command line: recipes by name, one command a run, errors in one sentence."""
