"""The pure room: (state, records) -> state. No I/O, no clock, no environment, no randomness."""
