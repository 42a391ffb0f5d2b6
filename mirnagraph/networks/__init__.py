"""Similarity and association networks of a Dataset, their statistics and exports."""
