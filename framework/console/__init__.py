"""The command line: recipes by name, one command a run, mistakes in one sentence."""
