"""Fusion: attention over the tokens of both towers, cross-validation, prediction, report."""
