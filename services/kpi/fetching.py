"""Fetch requests that fit who folds whole batches: none holds up a partition, none brings crumbs.

aiokafka keeps one fetch per broker under way and asks only for partitions of which nothing waits
in memory. While a large batch is folded the partitions that are read up are asked for alone; the
broker keeps that request until one of them has news (Faust: 1.5 seconds), and meanwhile nobody asks
for the partition that has a million records left. Measured: a worker on full topics used half a
core, because it slept in every second one. Here a request that leaves partitions out comes back
soon, and an ordinary one after half a second at most.

And it is answered as soon as there is one record, so that a steady stream is taken in crumbs, each
with the whole cost of a request and a batch. Here a request behind one that brought records waits a
moment for more; the first record after a pause still comes at once.

This overrides two methods of aiokafka, which is therefore pinned exactly; tests/unit/kpi/
test_fetching.py holds their contract.
"""

from typing import Any

from aiokafka.consumer import consumer, fetcher

#: How long the broker may keep a request when nothing is there (at most, for all that is assigned),
#: and while something waits to be consumed.
WAIT_MS = 500
PARTIAL_WAIT_MS = 10
#: In a steady stream: how long a request gathers, and the bytes that are enough to end it.
GATHER_MS = 40
GATHER_BYTES = 512 * 1024
#: Records that were fetched wait this long before other partitions are asked for alone (seconds).
PATIENCE_SECONDS = 0.5


class EvenFetcher(fetcher.Fetcher):
    """aiokafka's fetcher with waits that fit a fold of whole batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        wait = min(kwargs.get("fetch_max_wait_ms", WAIT_MS), WAIT_MS)
        kwargs |= {"fetch_max_wait_ms": wait, "prefetch_backoff": PATIENCE_SECONDS}
        #: The last request brought records.
        self._streaming = False
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # aiokafka

    def _get_actions_per_node(self, assignment: Any) -> Any:
        actions: Any = super()._get_actions_per_node(assignment)  # type: ignore[no-untyped-call]
        for _, request in actions[0]:
            if self._records:
                request._max_wait_ms = PARTIAL_WAIT_MS
            elif self._streaming:
                request._max_wait_ms, request._min_bytes = GATHER_MS, GATHER_BYTES
        return actions

    async def _proc_fetch_request(self, assignment: Any, node_id: Any, request: Any) -> bool:
        found = await super()._proc_fetch_request(assignment, node_id, request)  # type: ignore[no-untyped-call]
        self._streaming = bool(found)
        return self._streaming


def install() -> None:
    """Let every consumer of this process fetch so."""
    module: Any = consumer
    module.Fetcher = EvenFetcher
