"""Encoders: what each position of an RNA is, as numbers."""
