"""Sequences, labels, k-mers, clusters and batches."""
