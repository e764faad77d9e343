"""What runs the system: images, Prometheus and Alertmanager configuration, the runbook."""
