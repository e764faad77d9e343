"""Load: traffic by schedule and an honest verdict."""
