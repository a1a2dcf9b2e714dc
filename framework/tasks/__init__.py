"""Synthetic problems, a folder each, with its data, module and figures; none knows another."""
