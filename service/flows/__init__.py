"""Use cases, one verb a file; the caller opens the transaction."""
