"""Data that every fold of a fusion run reads."""
