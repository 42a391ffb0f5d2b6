"""Encoders: from RNA sequences to the numbers that towers and trees read."""
