"""Rehearsals: scenarios with a verdict."""
