"""Page and JSON API that answer names and sequences by one model; needs the extra `web`."""
