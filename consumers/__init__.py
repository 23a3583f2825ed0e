"""Reading the log: decode, derive, deduplicate, fold, commit."""
