"""Tests of the simulated world, its judge and its report."""
