"""Cross-validation, run folders, results, comparison, reports and model files, for both towers."""
