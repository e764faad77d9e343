"""The kpi door: Faust workers that fold the four source topics into partial results.

The only room that imports faust. ``transport`` makes one Faust message of one partition batch,
``partition`` is what a worker does with the batches of one partition, ``recovery`` rebuilds a
partition from the ring, ``app`` wires them, ``main`` is the process.
"""
