"""The batch oracle: every number again, from the raw topic, in DuckDB."""
