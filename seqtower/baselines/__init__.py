"""Simpler sequence models: k-mer models and trees on descriptors."""
