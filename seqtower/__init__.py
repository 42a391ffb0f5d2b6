"""The sequence tower: RNAs of any length to embeddings and probabilities."""

import os

KEPT_KERNELS = "64"
"""Compiled layers that oneDNN, which torch runs convolutions and LSTMs with, keeps in memory.

It compiles one for each shape, in .1 to .3 ms, and keeps 1,024. Batches of RNAs hardly ever have
the shape of an earlier one: memory would grow over hundreds of batches, and nothing be faster.
"""

# read when torch runs its first layer, in worker processes too; a value of the user's stands
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KEPT_KERNELS)
