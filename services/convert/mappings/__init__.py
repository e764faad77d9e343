"""The mappings that come with the package: one YAML file for each log (docs/converters.md)."""
