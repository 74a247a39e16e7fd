"""Commands, checked by what they print and how they exit."""
