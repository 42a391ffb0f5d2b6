"""Neural network parts of the sequence towers."""
