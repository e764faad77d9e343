"""The door of a simulated source: listings."""
