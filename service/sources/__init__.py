"""Where treatment sessions come from."""
