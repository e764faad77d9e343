"""A province that lives, seeded and pure: no I/O, no clock, no global randomness.

Everything born on a local day is decided by (seed, province, day) alone, so any interval can be
generated again, byte for byte, from anywhere: a producer after a restart, a replay, a test.
"""
