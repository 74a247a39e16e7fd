"""Gateways, checked against fakes that speak HTTP."""
