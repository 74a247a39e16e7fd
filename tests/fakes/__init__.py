"""Stand-ins for the world outside, as ordinary modules."""
