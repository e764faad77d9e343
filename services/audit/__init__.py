"""The audit door: everything again from the source topics, beside what the live view says."""
