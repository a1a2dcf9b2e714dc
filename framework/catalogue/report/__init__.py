"""Reports of runs and studies: one HTML file each, which needs nothing else."""
