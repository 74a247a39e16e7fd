"""What makes the world go: its events in order, and the ticks of the service that have work."""
