"""Sequences of feature vectors, drawn from processes whose law is known."""
