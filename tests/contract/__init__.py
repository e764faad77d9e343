"""The contract, tried from the outside with real bytes."""
