"""Use cases, checked on a real database with a pretend phone network."""
