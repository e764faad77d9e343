"""Prometheus: scrape configuration, and rules generated from the KPI catalogue."""
