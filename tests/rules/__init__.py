"""Rules and boards against the real promtool and Prometheus."""
