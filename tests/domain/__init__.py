"""Rules, checked without a database."""
