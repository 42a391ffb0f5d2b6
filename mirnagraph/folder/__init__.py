"""Files of a dataset folder: their columns as plain data, and their reader."""
