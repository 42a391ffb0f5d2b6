"""The sequence tower: RNAs of any length to embeddings and probabilities."""
