"""Recordings, and what a replay makes of them, without Kafka."""
