"""The runtime room: settings, Kafka clients, embedded Kafka, processes, telemetry, reference data.

It may open sockets and files, read the environment and the clock. It computes no number that an
operator sees, and knows nothing of the simulation or of any door.
"""
