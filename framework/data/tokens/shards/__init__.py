"""Tokens in many files with an index, which `overtone prepare` writes and `TokenShards` reads."""
