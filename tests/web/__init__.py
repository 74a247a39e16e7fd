"""HTTP, checked through the application."""
