"""Text as windows of tokens, from any corpus with any tokenizer."""
