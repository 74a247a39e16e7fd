"""Queries, checked on SQLite and PostgreSQL."""
