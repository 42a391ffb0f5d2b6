"""Recipes of datasets: which sources, by which rules; the shipped ones; building and provenance."""
