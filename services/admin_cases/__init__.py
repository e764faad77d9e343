"""The door of a simulated source: admin-cases."""
