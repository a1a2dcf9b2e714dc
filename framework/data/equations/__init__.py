"""Equations over whole numbers, of which a square is left out of training."""
