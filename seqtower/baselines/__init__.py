"""Baselines on sequences: k-mer models and trees on descriptors."""
