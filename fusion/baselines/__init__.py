"""Simpler models on the same folds."""
