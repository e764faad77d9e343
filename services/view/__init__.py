"""The view door: reads the partial results and answers people, Prometheus and the wall."""
