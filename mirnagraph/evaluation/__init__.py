"""Evaluation: folds, metrics, comparisons and audits."""
