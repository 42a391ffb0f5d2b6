"""Training runs, repeats, ablation, tuning, audit."""
