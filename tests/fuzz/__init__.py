"""Bytes that nobody meant to send, at the codec and at both forms of the fold."""
