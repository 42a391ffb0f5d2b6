"""Commands: each a thin translation of arguments into one library call."""
