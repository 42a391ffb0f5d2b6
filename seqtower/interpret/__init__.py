"""Explanations: which part of an RNA a prediction rests on, and which words a tower looks for."""
