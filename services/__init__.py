"""The running system: a pure core, pure simulation, one runtime edge, and a door per service."""
