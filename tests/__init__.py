"""The specification, as tables and properties; the folders mirror the floors."""
