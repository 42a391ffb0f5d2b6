"""Labels of an earlier release: ranking of unlabelled pairs and its evaluation on later labels."""
