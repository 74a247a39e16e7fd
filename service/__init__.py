"""Texts patients around a treatment session, and understands what they answer."""
