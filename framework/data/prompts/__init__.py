"""Prompts: texts that ask for a number."""
