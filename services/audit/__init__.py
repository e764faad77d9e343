"""Audit: everything recomputed from the topics beside what the view says."""
