"""Published files of another layout than the readers take, turned into theirs."""
