"""Tests of the past: logs played again, blocks, events of a day."""
