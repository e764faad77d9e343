"""How the latest state of one entity is packed, and the times that decide about its events.

Revision, digest, time (ms) and number of contributions; then the contributions; then what the view
reads of it (an active listing, an indicator period).
"""

from struct import Struct as Layout

import xxhash

from schemas import v1

EXPIRED_AFTER_MS = 400 * 86_400_000
LATE_MS = 10 * 60_000
VERY_LATE_MS = 86_400_000
PURGE_EVERY_MS = 10 * 60_000
#: A CloudEvents source that ends so states a past that was never sent before.
HISTORY_SUFFIX = "/history"

ENTITY = Layout("<qQqB")
CELL = Layout("<iqq")
#: The contributions of an entity by their number.
CELLS = [Layout("<" + "iqq" * count) for count in range(32)]
#: An active listing: packed territory and dimensions, store, OCOP product (0: none), out of stock.
ACTIVE_LISTING = Layout("<qQQB")
OCOP_STARS = 3


def view_part(value: bytes) -> bytes:
    """What the view reads of an entity: the bytes behind its contributions."""
    return value[ENTITY.size + value[ENTITY.size - 1] * CELL.size :]


def active_listing(d: v1.Listing, base: int) -> bytes:
    """What the view reads of an active listing; ``base`` is its packed territory and dimensions."""
    product = (
        xxhash.xxh64_intdigest(d.product_key.encode()) or 1 if d.ocop_stars >= OCOP_STARS else 0
    )
    return ACTIVE_LISTING.pack(
        base, xxhash.xxh64_intdigest(d.store_id.encode()), product, 1 if d.stock == 0 else 0
    )
