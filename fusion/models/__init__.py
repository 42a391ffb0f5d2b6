"""Attention, ensemble, prediction, saved models."""
