"""Attention whose past keys and values receive no gradient."""
