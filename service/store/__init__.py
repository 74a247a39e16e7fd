"""Tables and queries: functions that take the database session."""
