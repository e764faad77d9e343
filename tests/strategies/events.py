"""Seeded streams of realistic and nasty records for all four source topics.

`stream` is pure: the same seed and instant give the same bytes. It keeps the producers' one
promise (``time`` never falls as the revision grows) and breaks everything else now and then:
order, repetition, conflicting and outdated revisions, every reject reason, unknown territories,
instants exactly on window edges, corrections of every field.
"""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from services.oracle.checks import OneOf
from services.oracle.oracle import Places
from services.oracle.raw import RawRecord, partition_of
from services.oracle.reading import FIELDS, STEPS, series_key
from services.oracle.windows import DAY, HOUR, MINUTE, WINDOWS, bounds, local, local_ms

PLACES = Places.from_csv(Path(__file__).parents[2] / "services" / "runtime" / "data")
REPORT, CASE, LISTING, INDICATOR = (
    "ioc.field-report.v1",
    "ioc.admin-case.v1",
    "ioc.listing.v1",
    "ioc.indicator.v1",
)
Data = dict[str, Any]


class Item(NamedTuple):
    """A record before it has a place in a log; ``partition`` only where it lies in a wrong one."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    arrival: int
    partition: int | None = None


class _Revision(NamedTuple):
    """One state of one entity: its instants are ints until they are written as text."""

    topic: str
    type: str
    key: str
    time: int
    data: Data


_INSTANTS = {
    f.rstrip("?") for spec in FIELDS.values() for f in spec if f.rstrip("?").endswith("_at")
} | {"period_start", "period_end"}
_UNITS = (("reports", 3), ("cases", 4), ("shops", 3), ("indicators", 2))


def rfc3339(rng: Random, ms: int) -> str:
    """One of the many texts of an instant: any offset, any digits, finer ones included."""
    minutes = rng.choice((0, 420, 420, 420, -300, 345, -720, 840, 1439, -1439))
    seconds, milli = divmod(ms + minutes * MINUTE, 1000)
    days, second = divmod(seconds, 86_400)
    moment = _civil(days)
    text = f"{moment}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    if milli or rng.random() < 0.3:
        digits = f"{milli:03}"
        text += "." + digits + rng.choice(("", "", "9999", "0", "000001", "999999999"))
        if digits.endswith("0") and milli and rng.random() < 0.2 and text.endswith(digits):
            text = text[:-1]
    if minutes == 0:
        return text + rng.choice(("Z", "Z", "z", "+00:00", "-00:00"))
    sign = "+" if minutes > 0 else "-"
    return f"{text}{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _civil(days: int) -> str:
    day = local(days * DAY)  # seven hours after midnight UTC: the same day of the month
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def edges(now: int) -> list[int]:
    """Instants at which some window of ``now`` begins or ends, each with its neighbours."""
    marks = {t for w in WINDOWS for t in bounds(w, now)}
    today = local(now)
    marks |= {local_ms(today.year, m) for m in range(1, today.month + 1)}
    marks |= {now, now - now % MINUTE, bounds("today", now)[0] - DAY}
    return sorted(t + d for t in marks for d in (-1, 0, 1))


class _World:
    """The random choices of one stream."""

    def __init__(self, rng: Random, now: int) -> None:
        self.rng = rng
        self.now = now
        self.edges = [t for t in edges(now) if t <= now + 2 * MINUTE]
        self.serial = 0

    def name(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial:05}" + self.rng.choice(("", "", "", "-đường số 5", " ünï"))

    def instant(self) -> int:
        """A moment of the past: often recent, often exactly on an edge, sometimes very old."""
        rng = self.rng
        if rng.random() < 0.3:
            return rng.choice(self.edges)
        reach = rng.choice(
            (
                5 * MINUTE,
                HOUR,
                HOUR,
                3 * HOUR,
                DAY,
                2 * DAY,
                7 * DAY,
                30 * DAY,
                100 * DAY,
                398 * DAY,
            )
        )
        return self.now - rng.randrange(reach)

    def after(self, t: int) -> int:
        """A moment after t (not after now), sometimes before it: negative durations exist."""
        rng = self.rng
        if rng.random() < 0.06:
            return t - rng.randrange(1, 2 * DAY)
        if rng.random() < 0.25:
            return rng.choice(self.edges)
        return min(self.now, t + rng.randrange(rng.choice((1, MINUTE, HOUR, 3 * DAY, 30 * DAY))))

    def due(self, t: int) -> int:
        rng = self.rng
        if rng.random() < 0.4:
            minute = self.now - self.now % MINUTE
            return rng.choice((minute, minute + DAY, bounds("today", self.now)[0])) + rng.choice(
                (-MINUTE, -1, 0, 1, MINUTE - 1, MINUTE)
            )
        return t + rng.randrange(-DAY, 40 * DAY)

    def pick(self, table: str, field: str) -> Any:
        check = FIELDS[table][field]
        assert isinstance(check, OneOf)
        return self.rng.choice(check.members)

    def maybe(self, make: Callable[[], Any], chance: float = 0.6) -> Any:
        return make() if self.rng.random() < chance else None

    def place(self) -> Data:
        """Codes as they come: mostly right, sometimes unknown, misplaced or missing."""
        rng = self.rng
        commune = rng.choice(list(PLACES.communes))
        district, province = PLACES.communes[commune]
        # Few places, so that entities meet in them.
        if rng.random() < 0.6:
            commune = rng.choice([c for c, (d, _) in PLACES.communes.items() if d == "461"][:3])
            district, province = PLACES.communes[commune]
        stranger = rng.choice([c for c, (d, _) in PLACES.communes.items() if d != district])
        abroad = rng.choice([d for d, p in PLACES.districts.items() if p != province])
        codes = rng.choices(
            (
                (province, district, commune),
                (province, district, None),
                (province, None, None),
                (province, None, commune),
                (province, district, stranger),
                (province, district, "99999"),
                (province, "999", commune),
                (province, abroad, None),
                (province, abroad, commune),
                (province, None, "00000"),
                ("99", district, commune),
                ("Quảng Trị", None, None),
            ),
            (60, 8, 5, 5, 3, 3, 2, 2, 2, 2, 2, 1),
        )[0]
        return dict(zip(("province_code", "district_code", "commune_code"), codes, strict=True))


def _evolve(world: _World, first: Data, redraw: Callable[[], Data], count: int) -> list[Data]:
    """Revisions 1 to count: each one changes a handful of fields, or none at all."""
    states = [first | {"revision": 1}]
    gap = world.rng.choice((1, 1, 1, 3))
    for n in range(1, count):
        new = redraw()
        state = dict(states[-1])
        for field in world.rng.sample(sorted(new), min(len(new), world.rng.randrange(0, 7))):
            state[field] = new[field]
        states.append(state | {"revision": 1 + n * gap})
    return states


def _dated(world: _World, topic: str, kind: str, key: str, states: list[Data]) -> list[_Revision]:
    latest = 0
    out = []
    for state in states:
        times = [v for k, v in state.items() if k in _INSTANTS and k != "due_at" and v is not None]
        latest = max([latest, *(t for t in times if t <= world.now)])
        latest = min(world.now, latest + world.rng.choice((0, 0, 1, 500, MINUTE, HOUR)))
        out.append(_Revision(topic, kind, key, latest, state))
    return out


def _reports(world: _World) -> list[_Revision]:
    rng = world.rng
    report_id = world.name("pa")

    def draw() -> Data:
        t = world.instant()
        return world.place() | {
            "status": world.pick("report", "status"),
            "category": world.pick("report", "category"),
            "channel": world.pick("report", "channel"),
            "priority": world.pick("report", "priority"),
            "reported_at": t,
            "acknowledged_at": world.maybe(lambda: world.after(t)),
            "due_at": world.maybe(lambda: world.due(t), 0.8),
            "answered_at": world.maybe(lambda: world.after(t)),
            "closed_at": world.maybe(lambda: world.after(t)),
            "rating": world.maybe(lambda: rng.choice(("satisfied", "accepted", "dissatisfied"))),
            "rated_at": world.maybe(lambda: world.after(t)),
            "extended_count": world.maybe(lambda: rng.randrange(3)),
            "lat": world.maybe(lambda: round(rng.uniform(9, 17), 5), 0.3),
            "lon": world.maybe(lambda: float(rng.randrange(105, 110)), 0.3),
            "description": world.maybe(lambda: "Ổ gà 🚧 " + "x" * rng.randrange(20), 0.3),
            "reporter_ref": world.maybe(lambda: f"r{rng.randrange(99)}", 0.2),
        }

    states = _evolve(world, draw() | {"report_id": report_id}, draw, rng.randrange(1, 7))
    return _dated(world, REPORT, "ioc.field_report.v1", report_id, states)


def _cases(world: _World) -> list[_Revision]:
    rng = world.rng
    case_id = world.name("hs")

    def steps(t: int) -> Data:
        names = rng.sample((*STEPS, "photocopy"), rng.randrange(1, 7))
        moments = [world.after(t) for _ in names]
        if rng.random() < 0.8:
            order = (*STEPS, "photocopy")
            names.sort(key=order.index)
            moments.sort()
        return dict(zip(names, moments, strict=True))

    def draw() -> Data:
        t = world.instant()
        total = rng.randrange(6)
        return world.place() | {
            "status": world.pick("kase", "status"),
            "level": world.pick("kase", "level"),
            "procedure_code": f"1.00{rng.randrange(9)}",
            "procedure_field": world.pick("kase", "procedure_field"),
            "service_level": world.pick("kase", "service_level"),
            "channel": world.pick("kase", "channel"),
            "result_channel": world.maybe(lambda: world.pick("kase", "channel")),
            "portal": world.pick("kase", "portal"),
            "registered_at": t,
            "accepted_at": world.maybe(lambda: world.after(t), 0.8),
            "due_at": world.maybe(lambda: world.due(t), 0.85),
            "solved_at": world.maybe(lambda: world.after(t)),
            "returned_at": world.maybe(lambda: world.after(t)),
            "steps": world.maybe(lambda: steps(t)),
            "fee_due": rng.choice((0, 0, 20_000, 10**15)),
            "payment": world.maybe(
                lambda: {
                    "amount": rng.choice((15_000, 2_500_000, 10**15)),
                    "method": rng.choice(("cash", "bank", "wallet", "portal")),
                    "paid_at": world.after(t),
                }
            ),
            "components_total": total,
            "components_digitised": rng.randrange(total + 2),
            "components_signed": 0,
            "components_reused": rng.randrange(total + 1),
            "result_digital": rng.random() < 0.5,
            "auth": rng.random() < 0.5,
            "popdb_checked": rng.random() < 0.5,
            "popdb_fields": rng.randrange(21),
            "dvcqg_synced_at": world.maybe(lambda: world.after(t)),
            "device": world.maybe(lambda: rng.choice(("mobile", "desktop", "kiosk"))),
            "rating": world.maybe(lambda: rng.choice(("satisfied", "accepted", "dissatisfied"))),
            "rated_at": world.maybe(lambda: world.after(t)),
        }

    states = _evolve(world, draw() | {"case_id": case_id}, draw, rng.randrange(1, 7))
    return _dated(world, CASE, "ioc.admin_case.v1", case_id, states)


def _shops(world: _World) -> list[_Revision]:
    """One store with a few listings and orders, all under one key."""
    rng = world.rng
    store = world.name("store")

    def listing() -> Data:
        t = world.instant()
        return world.place() | {
            "seller_kind": world.pick("listing", "seller_kind"),
            "platform": world.pick("listing", "platform"),
            # Few products: the same one is sold in many stores, so in many partitions.
            "product_key": f"ocop-{rng.randrange(12)}",
            "product_name": rng.choice(("Mắm cá", "Tỏi Lý Sơn", "Khô bò")),
            "product_group": world.pick("listing", "product_group"),
            "ocop_stars": rng.randrange(6),
            "unit": world.maybe(lambda: "kg"),
            "price_vnd": rng.choice((1, 45_000, 99_999_999)),
            "stock": rng.choice((0, 0, 7, 10**6)),
            "active": rng.random() < 0.7,
            "created_at": t,
            "delisted_at": world.maybe(lambda: world.after(t), 0.3),
        }

    def order() -> Data:
        t = world.instant()
        return world.place() | {
            "listing_id": f"l{rng.randrange(99)}",
            "platform": world.pick("orders", "platform"),
            "status": world.pick("orders", "status"),
            "quantity": rng.randrange(1, 9),
            "value_vnd": rng.choice((0, 45_000, 1_234_567, 10**15)),
            "payment": world.pick("orders", "payment"),
            "placed_at": t,
            "completed_at": world.maybe(lambda: world.after(t)),
            "cancelled_at": world.maybe(lambda: world.after(t), 0.2),
        }

    out: list[_Revision] = []
    # The same text may be a listing's and an order's id: they are different entities.
    for i in range(rng.randrange(1, 4)):
        first = listing() | {"listing_id": f"e{i}", "store_id": store}
        states = _evolve(world, first, listing, rng.randrange(1, 5))
        out += _dated(world, LISTING, "ioc.listing.v1", store, states)
    for i in range(rng.randrange(3)):
        first = order() | {"order_id": f"e{i}", "store_id": store}
        states = _evolve(world, first, order, rng.randrange(1, 4))
        out += _dated(world, LISTING, "ioc.order.v1", store, states)
    return out


def _indicators(world: _World) -> list[_Revision]:
    """One series with several periods, some of them revised, some still running."""
    rng = world.rng
    kind = rng.choice(("level", "flow", "flow", "rate", "rank", "flag", "text"))
    territory = rng.choice(("45", "51", "461", "522", "19330", "45", "87", "95", "77777"))
    length = rng.choice((5 * MINUTE, HOUR, 6 * HOUR, DAY, DAY, 7 * DAY, 30 * DAY))
    names = rng.sample(("operator", "age", "đơn vị"), rng.randrange(3))
    dims = {n: rng.choice(("a", "b", "Việt")) for n in names} or None
    fixed: Data = {
        "domain": "infra",
        "indicator": f"infra.test_{world.serial}_{rng.randrange(4)}",
        "territory": territory,
        "kind": kind,
        "unit": "x",
        "dims": dims,
        "source_system": "test",
    }
    world.serial += 1

    def draw() -> Data:
        ratio = rng.random() < 0.3
        return {
            "value": None if ratio or kind == "text" else round(rng.uniform(-5, 100), 3),
            "numerator": float(rng.randrange(50)) if ratio else None,
            "denominator": float(rng.choice((0, 4, 50))) if ratio else None,
            "target": world.maybe(lambda: float(rng.randrange(100))),
            "target_low": world.maybe(lambda: 1.5, 0.1),
            "text": "ổn định" if kind == "text" else None,
        }

    out: list[_Revision] = []
    end = world.now - rng.choice((0, 0, 0, 2 * HOUR, 3 * DAY)) // length * length
    end -= end % min(length, DAY)
    for back in range(rng.randrange(1, 6)):
        start = end - (back + 1) * length
        period = fixed | {"period_start": start, "period_end": start + length}
        states = _evolve(world, draw() | period, draw, rng.randrange(1, 4))
        if back == 0 and rng.random() < 0.3:  # still running: ends at the moment of reading
            for state in states:
                state["period_end"] = start + rng.randrange(1, length)
        key = series_key(period)
        out += _dated(world, INDICATOR, "ioc.indicator.v1", key, states)
    return out


#: Stands for a number that no double holds, which json would not write.
_HUGE = "@huge@"


def _with_huge(text: str) -> bytes:
    return text.replace(f'"{_HUGE}"', "-1e999").encode()


def encode(rng: Random, revision: _Revision, *, strange: bool = False) -> bytes:
    """The event as JSON. ``strange``: member order, unknown members, nulls, spaces, escapes."""
    data: Data = {}
    for name, value in revision.data.items():
        if value is None:
            if strange and rng.random() < 0.5:
                data[name] = None
        elif name in _INSTANTS:
            data[name] = rfc3339(rng, value)
        elif name == "steps":
            data[name] = {k: rfc3339(rng, v) for k, v in value.items()}
        elif name == "payment" and isinstance(value, dict):
            data[name] = value | {"paid_at": rfc3339(rng, value["paid_at"])}
        else:
            data[name] = value
    event: Data = {
        "specversion": "1.0",
        "id": f"{revision.key}/{revision.data['revision']}",
        "source": "/test/stream",
        "type": revision.type,
        "time": rfc3339(rng, revision.time),
        "data": data,
    }
    if not strange:
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    for inner in (data, event):
        inner["x_unknown"] = rng.choice(
            (None, [1, {"reported_at": "never"}], "ký tự lạ 🛰", 1e300, [_HUGE])
        )
    event |= rng.choice(({}, {"subject": "s"}, {"datacontenttype": "application/json"}))
    event["data"] = _shuffled(rng, {k: _respelt(rng, v) for k, v in data.items()})
    return _with_huge(
        json.dumps(
            _shuffled(rng, event), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 2))
        )
    )


def _shuffled(rng: Random, members: Data) -> Data:
    return dict(rng.sample(list(members.items()), len(members)))


def _respelt(rng: Random, value: Any) -> Any:
    """The same value in other bytes: 105.0 as 105, a map in another order."""
    if isinstance(value, dict):
        return _shuffled(rng, value)
    if type(value) is float and value.is_integer():
        return int(value)
    return value


def _spoilt(rng: Random, revision: _Revision, arrival: int) -> list[Item]:
    """Records that must be rejected, made from a good one: one for each of the eight reasons."""
    good = encode(rng, revision)
    event = json.loads(good)
    topic, key = revision.topic, revision.key.encode()

    def item(value: bytes | None, key: bytes | None = key, topic: str = topic) -> Item:
        return Item(topic, key, value, [], arrival)

    def changed(**members: Any) -> bytes:
        return _with_huge(json.dumps({k: v for k, v in (event | members).items() if v is not ...}))

    def spoilt(**fields: Any) -> bytes:
        data = {k: v for k, v in (event["data"] | fields).items() if v is not ...}
        return changed(data=data)

    milestone = next((f for f in sorted(event["data"]) if f.endswith("_at")), "")
    late = rfc3339(rng, arrival + 15 * MINUTE + 1)
    future = changed(time=late)
    if milestone and milestone != "due_at" and rng.random() < 0.5:
        future = spoilt(**{milestone: late})
    elsewhere = INDICATOR if topic != INDICATOR else CASE
    return [
        item(good[:-1] + b" " * (256 * 1024 - len(good) + 1) + b"}"),
        item(good.replace(b"test", b"t\xe9st")),
        item(
            rng.choice((None, b"", good[:-1], b"NaN", b"{'a': 1}", good + b"x", b"\xef\xbb\xbf{}"))
        ),
        item(
            rng.choice(
                (
                    b"[]",
                    b"1",
                    b"null",
                    b"1e999",
                    changed(time=_HUGE),
                    changed(specversion="0.3"),
                    changed(specversion=1.0),
                    changed(id=...),
                    changed(id=7),
                    changed(source=None),
                    changed(time="2026-01-01T00:00:00"),
                    changed(time=1_700_000_000),
                    changed(time=..., type="no.such.type"),
                    changed(type=...),
                    changed(data=...),
                )
            )
        ),
        item(changed(type="ioc.field_report.v2")),
        item(good, topic=elsewhere),
        item(
            rng.choice(
                (
                    spoilt(revision=0),
                    spoilt(revision=1.5),
                    spoilt(revision="1"),
                    spoilt(revision=True),
                    spoilt(revision=_HUGE),
                    spoilt(lat=_HUGE, fee_due=_HUGE, value=_HUGE, stock=_HUGE, value_vnd=_HUGE),
                    spoilt(revision=...),
                    spoilt(province_code=45, territory=45),
                    spoilt(**{"status": "open", "platform": "shopee", "kind": "gauge"}),
                    spoilt(**{milestone or "period_end": "2026-02-30T00:00:00Z"}),
                    spoilt(**{milestone or "period_end": 1_700_000_000}),
                    changed(data=[event["data"]]),
                )
            ),
            # A wrong key as well: the schema is looked at first.
            key=rng.choice((key, b"other", None)),
        ),
        item(good, key=rng.choice((None, b"", key + b" ", b"\xff", key.upper() + b"x"))),
        item(good)._replace(partition=-1),
        item(future),
    ]


def stream(
    seed: int, n: int, now_ms: int, *, span: int = 3 * DAY, event_clock: bool = False
) -> list[Item]:
    """At least n records in order of arrival, the last ones at about ``now_ms``.

    ``span``: the log began so many ms before now; what is older arrives then, very late. With
    ``event_clock`` each record carries its arrival in the header ``ioc-arrival``; without it some
    records carry a misleading one, which a wall-clock system ignores.
    """
    rng = Random(seed)
    world = _World(rng, now_ms)
    makers = (_reports, _cases, _shops, _indicators)
    out: list[Item] = []
    while len(out) < n:
        revisions = rng.choices(makers, (3, 4, 3, 2))[0](world)
        for revision in revisions:
            out += _sent(rng, revision, now_ms, span)
        if rng.random() < 0.1:
            revision = rng.choice(revisions)
            out.append(rng.choice(_spoilt(rng, revision, _arrival(rng, revision, now_ms, span))))
    out.sort(key=lambda item: item.arrival)
    return [_stamped(rng, item, event_clock) for item in out]


def _arrival(rng: Random, revision: _Revision, now: int, span: int) -> int:
    delay = rng.choice((0, 0, 50, 2_000, 20_000, MINUTE, 20 * MINUTE, 6 * HOUR, 2 * DAY))
    # A milestone 15 minutes ahead is the last one taken; now and then one lies further ahead.
    ahead = 15 * MINUTE if rng.random() < 0.98 else DAY
    return max(now - span, min(now, max(revision.time + delay, _peak(revision.data) - ahead)))


def _peak(data: Data) -> int:
    named = {k for k in _INSTANTS if k.endswith("_at") and k != "due_at"} & set(data)
    moments = [data[k] for k in named if data[k] is not None]
    moments += (data.get("steps") or {}).values()
    if isinstance(data.get("payment"), dict):
        moments.append(data["payment"]["paid_at"])
    return max(moments, default=0)


def _sent(rng: Random, revision: _Revision, now: int, span: int) -> list[Item]:
    """The deliveries of one revision: none, one, repeated, in other bytes, or contradicted."""
    key = revision.key.encode()
    arrival = _arrival(rng, revision, now, span)
    if rng.random() < 0.01:  # a broken clock or a forgotten box: over 400 days old
        revision = revision._replace(time=arrival - 400 * DAY - rng.choice((1, DAY)))
    elif rng.random() < 0.01:  # exactly 400 days is still taken
        moments = [v for k, v in revision.data.items() if k in _INSTANTS and v is not None]
        if min(moments, default=now) <= arrival - 400 * DAY and revision.data["revision"] == 1:
            revision = revision._replace(time=arrival - 400 * DAY)
    items = [
        Item(revision.topic, key, encode(rng, revision, strange=rng.random() < 0.2), [], arrival)
    ]
    if rng.random() < 0.12:
        later = min(now, arrival + rng.choice((0, 1, MINUTE, DAY)))
        value = rng.choice((items[0].value, encode(rng, revision, strange=True)))
        items.append(Item(revision.topic, key, value, [], later))
    if rng.random() < 0.05:
        field, value = _contradiction(revision)
        other = revision._replace(data=revision.data | {field: value})
        later = min(now, arrival + rng.choice((0, 1, MINUTE)))
        items.append(Item(revision.topic, key, encode(rng, other), [], later))
    return items


def _contradiction(revision: _Revision) -> tuple[str, Any]:
    data = revision.data
    if "period_start" in data:
        return "value", (data["value"] or 0) + 1
    if "listing_id" in data and "order_id" not in data:
        return "stock", data["stock"] + 1
    if "order_id" in data:
        return "quantity", data["quantity"] + 1
    if "case_id" in data:
        return "popdb_fields", (data["popdb_fields"] + 1) % 21
    return "status_note", "khác"


def _stamped(rng: Random, item: Item, event_clock: bool) -> Item:
    headers = [("content-type", b"application/cloudevents+json")]
    if event_clock:
        headers.append(("ioc-arrival", str(item.arrival).encode()))
    elif rng.random() < 0.05:
        headers.append(("ioc-arrival", str(item.arrival - 500 * DAY).encode()))
    return item._replace(headers=headers)


def log(items: list[Item], partitions: int, *, event_clock: bool = False) -> list[RawRecord]:
    """The items as records of a broker: murmur2 partitions, growing offsets and timestamps."""
    offsets: dict[tuple[str, int], int] = {}
    records = []
    base = max((i.arrival for i in items), default=0)
    for n, item in enumerate(items):
        partition = 0 if item.key is None else partition_of(item.key, partitions)
        if item.partition is not None:
            partition = (partition + 1) % partitions
        place = (item.topic, partition)
        # Offsets of a log may have gaps (transaction markers, deleted records).
        offset = offsets.get(place, -1) + (2 if n % 97 == 0 else 1)
        offsets[place] = offset
        timestamp = base + n if event_clock else item.arrival
        records.append(
            RawRecord(item.topic, partition, offset, timestamp, item.key, item.value, item.headers)
        )
    return records
