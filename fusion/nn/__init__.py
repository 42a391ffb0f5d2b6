"""Layers of the fusion of towers: encoding of numbers, packed members, attention pooling."""
