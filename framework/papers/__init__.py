"""What a paper asks of a trained model, a folder each; none knows another."""
