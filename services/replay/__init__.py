"""Recordings of event streams: made, read and replayed."""
