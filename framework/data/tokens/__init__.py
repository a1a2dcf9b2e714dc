"""Text as windows of tokens, from whatever source and by whatever tokenizer."""
