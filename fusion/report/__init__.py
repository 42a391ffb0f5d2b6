"""Report of runs: one HTML file, and its figures for print."""
