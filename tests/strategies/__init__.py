"""Seeded and Hypothesis-made event streams."""
