"""The door of a simulated source: field-reports."""
