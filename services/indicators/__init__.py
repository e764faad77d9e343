"""The door of a simulated source: indicators."""
