"""Largest numbers that options take: absurd ones are refused before work begins."""

LARGEST_SEED = 2**32 - 1

MOST_FOLDS = 10_000

MOST_SEEDS = 1_000
"""Most seeds of a repeated run or an ablation."""

MOST_PROCESSES = 4_096

LONGEST = 1_000_000_000
"""Most nucleotides, names or rows that an option names."""
