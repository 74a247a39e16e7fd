"""Readers of sessions, checked on sample files."""
