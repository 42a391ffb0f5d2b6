"""Readers of public formats: one module per source, each ending in DataFrames with named columns."""
