"""What moves averaged probabilities of tokens, and how far that holds."""
