"""Crashes, for real: processes that are killed, frozen and cut off, and what the provider counted in the end."""
