"""Proving that no promise was broken: rows and journal are read again, and every rule is judged once more."""
