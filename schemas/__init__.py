"""The contract room: what crosses a process boundary. No I/O, no clock, no environment."""
