"""Tokens: one array per modality of every RNA."""
