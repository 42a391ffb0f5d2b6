"""Similarity measures: one pure function per measure, each returning a square array."""
