"""The boards: built JSON, queries, push and check."""
