"""Training of towers: Lightning, checkpoints, optimizers."""
