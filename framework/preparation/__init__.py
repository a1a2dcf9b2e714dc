"""Prepares large texts for training: writes them as shards of token ids, in parallel."""
