"""Lightning modules: one per kind of data, on one base."""
