"""Edits of averaged probabilities of tokens, and how well they work."""
