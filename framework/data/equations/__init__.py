"""Equations over whole numbers: with a square left out of training, or drawn without end."""
