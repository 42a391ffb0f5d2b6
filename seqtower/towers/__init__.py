"""Towers: networks that turn an encoded RNA of any length into one vector and one answer per compartment."""
