"""Sequence towers: networks from an encoded RNA of any length to one logit per compartment."""
