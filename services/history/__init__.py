"""The door of the simulated past: its events through Kafka, its curves for Prometheus."""
