"""A realistic mix for benches: 60 % cases, 10 % reports, 10 % listings and orders, 20 % indicators.

About 600 bytes an event, seeded; three of four events are later revisions of an entity that is
already known, with its earlier milestones unchanged, as a real centre sends them.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import orjson

from schemas import catalog, codec
from services.runtime.reference import load_territories

_ZONE = timezone(timedelta(hours=7))
_CASE_PATH = ("registered", "accepted", "processing", "solved", "returned")
_REPORT_PATH = ("received", "verifying", "assigned", "in_progress", "answered")
_STEPS = ("receive", "appraise", "approve", "sign", "return")
Event = tuple[catalog.Topic, int, bytes, bytes]
#: Topic, CloudEvents type, key, time (ms), data.
State = tuple[catalog.Topic, str, str, int, dict[str, Any]]


def text(ms: int) -> str:
    """An instant (ms since the epoch) as RFC 3339 text in local time."""
    return datetime.fromtimestamp(ms / 1000, _ZONE).isoformat(timespec="milliseconds")


class Mix:
    """The state of a stream: what is known of every entity that is still changing."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self.rng = Random(seed)
        self.now = now_ms
        self.communes = list(load_territories().communes.values())
        self.open: dict[str, list[dict[str, Any]]] = {}
        self.serial = 0

    def kinds(self) -> list[Callable[[], State]]:
        """The makers of a next state, each as often as it should be drawn."""
        return (
            [self.case] * 12 + [self.report] * 2 + [self.listing, self.order] + [self.indicator] * 4
        )

    def entity(self, kind: str) -> dict[str, Any]:
        """A known entity with its next revision, or a new one."""
        known = self.open.setdefault(kind, [])
        if known and self.rng.random() < 0.75:
            at = self.rng.randrange(len(known))
            state = known[at]
            state["n"] += 1
            if state["n"] == 4:
                known[at] = known[-1]
                known.pop()
            return state
        self.serial += 1
        commune = self.rng.choice(self.communes)
        begun = self.now - self.rng.randrange(86_400_000, 20 * 86_400_000)
        step = self.rng.randrange(1, 86_400_000 // 5)
        state = {
            "n": 0,
            "id": f"{kind}-{self.serial:08d}",
            "born": begun,
            "at": [begun + i * step for i in range(5)],
            "roll": self.rng.random(),
            "place": {
                "province_code": commune.province_code,
                "district_code": commune.district_code,
                "commune_code": commune.commune_code,
            },
        }
        known.append(state)
        return state

    def case(self) -> State:
        e = self.entity("H")
        n, at, roll = e["n"], e["at"], e["roll"]
        total = 3 + int(roll * 5)
        data = {
            "case_id": e["id"],
            "revision": n + 1,
            "status": _CASE_PATH[n],
            "level": ("commune", "district", "province")[int(roll * 3)],
            "procedure_code": f"1.{int(roll * 999):06d}",
            "procedure_field": ("civil_status", "land", "business", "police_residence")[
                int(roll * 4)
            ],
            "service_level": ("full", "partial")[int(roll * 2)],
            "channel": ("online", "direct")[int(roll * 10) % 2],
            "portal": ("national", "provincial")[int(roll * 100) % 2],
            **e["place"],
            "registered_at": text(at[0]),
            "due_at": text(at[0] + 10 * 86_400_000),
            "fee_due": 20_000,
            "components_total": total,
            "components_digitised": total - 1,
            "components_signed": 1,
            "components_reused": 1,
            "result_digital": True,
            "auth": roll > 0.3,
            "popdb_checked": roll > 0.5,
            "popdb_fields": 5,
        }
        if n > 0:
            data["accepted_at"] = text(at[1])
            data["steps"] = {step: text(at[i]) for i, step in enumerate(_STEPS[: n + 1]) if i}
        if n > 2:
            data["solved_at"] = text(at[3])
            data["payment"] = {"amount": 20_000, "method": "bank", "paid_at": text(at[2])}
        if n > 3:
            data["returned_at"] = text(at[4])
            data["result_channel"] = "online"
        return catalog.ADMIN_CASE, "ioc.admin_case.v1", e["id"], at[n], data

    def report(self) -> State:
        e = self.entity("PA")
        n, at, roll = e["n"], e["at"], e["roll"]
        data = {
            "report_id": e["id"],
            "revision": n + 1,
            "status": _REPORT_PATH[n],
            "category": ("road", "waste_env", "urban_order", "other")[int(roll * 4)],
            "channel": ("app", "zalo", "hotline")[int(roll * 3)],
            "priority": "urgent" if roll > 0.95 else "normal",
            **e["place"],
            "lat": 16.8 + roll / 10,
            "lon": 107.1 + roll / 10,
            "reported_at": text(at[0]),
            "due_at": text(at[0] + 5 * 86_400_000),
            "description": "Ổ gà lớn trên tuyến đường liên xã, xe máy khó đi khi trời mưa.",
        }
        if n > 0:
            data["acknowledged_at"] = text(at[1])
        if n > 3:
            data["answered_at"] = text(at[4])
        return catalog.FIELD_REPORT, "ioc.field_report.v1", e["id"], at[n], data

    def listing(self) -> State:
        e = self.entity("SP")
        n, roll = e["n"], e["roll"]
        store = f"CH-{int(roll * 4000):05d}"
        data = {
            "listing_id": e["id"],
            "revision": n + 1,
            "store_id": store,
            "seller_kind": ("household", "cooperative", "firm")[int(roll * 3)],
            "platform": ("postmart", "voso", "provincial")[int(roll * 3)],
            "product_key": f"sp-{int(roll * 900)}",
            "product_name": "Tiêu Cùa hạt khô loại một, túi 500 g",
            "product_group": ("food", "drink", "herbal")[int(roll * 3)],
            "ocop_stars": int(roll * 6),
            "price_vnd": 10_000 + int(roll * 500_000),
            "stock": n * int(roll * 4),
            "active": n < 4,
            **e["place"],
            "created_at": text(e["at"][0]),
        }
        return catalog.LISTING, "ioc.listing.v1", store, e["at"][n], data

    def order(self) -> State:
        e = self.entity("DH")
        n, roll, at = e["n"], e["roll"], e["at"]
        store = f"CH-{int(roll * 4000):05d}"
        data = {
            "order_id": e["id"],
            "revision": n + 1,
            "listing_id": f"SP-{int(roll * 9000):08d}",
            "store_id": store,
            "platform": ("postmart", "voso", "provincial")[int(roll * 3)],
            "status": "completed" if n > 1 else "placed",
            "quantity": 1 + int(roll * 5),
            "value_vnd": 40_000 + int(roll * 500_000),
            "payment": ("cod", "bank", "wallet")[int(roll * 3)],
            **e["place"],
            "placed_at": text(at[0]),
        }
        if n > 1:
            data["completed_at"] = text(at[2])
        return catalog.LISTING, "ioc.order.v1", store, at[n], data

    def indicator(self) -> State:
        rng = self.rng
        commune = rng.choice(self.communes)
        number = rng.randrange(60)
        start = self.now - self.now % 86_400_000 - rng.randrange(3) * 86_400_000
        self.serial += 1
        indicator, dims = f"infra.bench_{number:02d}", {"loai": "xa", "nguon": "bench"}
        end = start + rng.randrange(3_600_000, 86_000_000)
        data = {
            "domain": "infra",
            "indicator": indicator,
            "territory": commune.commune_code,
            "period_start": text(start),
            "period_end": text(min(end, self.now)),
            "revision": self.serial,
            "kind": "rate",
            "value": rng.randrange(1000) / 1000,
            "numerator": rng.randrange(1000),
            "denominator": 1000,
            "target": 0.9,
            "target_low": 0.7,
            "unit": "ratio",
            "dims": dims,
            "source_system": "bench",
        }
        key = f"{indicator}|{commune.commune_code}|loai=xa;nguon=bench"
        return catalog.INDICATOR, "ioc.indicator.v1", key, min(end, self.now), data


def mixed(count: int, partitions: int, *, now_ms: int, seed: int = 7) -> Iterator[Event]:
    """``count`` events as (topic, partition, key, value), all in the past of ``now_ms``."""
    mix = Mix(seed, now_ms)
    kinds = mix.kinds()
    for number in range(count):
        topic, type_, key_text, time, data = mix.rng.choice(kinds)()
        value = envelope(f"bench-{seed}-{number}", type_, min(time, now_ms), data)
        key = key_text.encode()
        yield topic, codec.partition_of(key, partitions), key, value


def envelope(identity: str, type_: str, time: int, data: dict[str, Any]) -> bytes:
    """A CloudEvent as it is on the wire."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": identity,
            "source": "/ioc/sim/bench",
            "type": type_,
            "time": text(time),
            "data": data,
        }
    )
