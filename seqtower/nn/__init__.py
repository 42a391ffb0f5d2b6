"""Masked layers, CPU kernels and losses of the sequence towers."""
