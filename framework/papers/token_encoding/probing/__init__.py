"""Regressions of the probabilities of tokens on their rows, with controls and a self-test."""
