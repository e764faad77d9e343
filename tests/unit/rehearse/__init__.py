"""Rehearsals without Kafka: files, rules, verdicts."""
