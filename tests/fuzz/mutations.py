"""From good events to bad ones: seeded changes of bytes, of JSON and of what stands around it."""

import json
from random import Random
from typing import Any

from schemas import catalog, codec
from tests.fuzz.target import NOW_MS, PARTITIONS, Input
from tests.strategies.events import stream

_BYTES = b'0123456789"{}[]:,.-+eETZtrufalsn \\u\x00\x1f\x7f\x80\xc3\xa9\xed\xa0\x80\xff\xef\xbb\xbf'
#: Values that parsers, clocks and integers trip over.
_NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308,
    float("inf"), float("nan"), "", " ", "0", "null", "8.090", "89,66", "\x00", "\ud800", "é" * 300,
    "2026-02-30T00:00:00Z", "2026-11-20T24:00:00+07:00", "2026-11-20T10:00:60Z", "0000-01-01",
    "9999-12-31T23:59:59.999999999-23:59", "2026-11-20 10:00:00Z", "2026-11-20T10:00:00",
    [], {}, [[]], {"": ""}, ["a"] * 50, {str(i): i for i in range(40)},
)  # fmt: skip
_TOPICS = (*catalog.SOURCES,)


def corpus(seed: int, count: int = 2_000) -> list[Input]:
    """Records of a nasty stream to start from, most of them with keys of partition 0."""
    by_name = {topic.name: topic for topic in _TOPICS}
    found = [
        Input(by_name[item.topic], item.key, item.value, tuple(item.headers))
        for item in stream(seed, count, NOW_MS)
    ]
    at_home = [i for i in found if i.key is None or codec.partition_of(i.key, PARTITIONS) == 0]
    return at_home + found[:: len(_TOPICS) * 2]


class Mutator:
    """An endless source of inputs, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._corpus = corpus(seed)

    def next(self) -> Input:
        """One more input; one in eight is an unchanged record of the corpus."""
        rng = self._rng
        one = rng.choice(self._corpus)
        value, key, topic, headers = one.value, one.key, one.topic, one.headers
        kind = rng.randrange(8)
        if value is not None and kind in (1, 2, 3):
            value = self._bytes(value)
        elif value is not None and kind in (4, 5):
            value = self._json(value)
        elif kind == 6:
            key = self._key(key)
            topic = rng.choice(_TOPICS)
        elif kind == 7:
            value = None if rng.random() < 0.1 else rng.randbytes(rng.randrange(60))
            arrival = rng.choice((b"", b"x", b"-1", b"9" * 30, str(NOW_MS - 10**9).encode()))
            headers = (("ioc-arrival", arrival),)
        return Input(topic, key, value, headers)

    def _bytes(self, value: bytes) -> bytes:
        rng = self._rng
        out = bytearray(value)
        for _ in range(rng.randrange(1, 5)):
            if not out:
                break
            at = rng.randrange(len(out))
            match rng.randrange(5):
                case 0:
                    out[at] = rng.choice(_BYTES)
                case 1:
                    del out[at : at + rng.randrange(1, 9)]
                case 2:
                    out[at:at] = out[at : at + rng.randrange(1, 40)]
                case 3:
                    other = rng.choice(self._corpus).value or b""
                    out[at:] = other[rng.randrange(len(other) + 1) :]
                case _:
                    del out[at:]
        return bytes(out)

    def _json(self, value: bytes) -> bytes:
        rng = self._rng
        try:
            event = json.loads(value)
        except (ValueError, RecursionError):
            return self._bytes(value)
        holder = event
        while isinstance(holder, dict) and holder:
            name = rng.choice(list(holder))
            if isinstance(holder[name], dict) and holder[name] and rng.random() < 0.8:
                holder = holder[name]
                continue
            match rng.randrange(4):
                case 0:
                    del holder[name]
                case 1:
                    holder[rng.choice(("x", "revision", "data", "status", name.upper()))] = (
                        rng.choice(_NASTY)
                    )
                case _:
                    holder[name] = rng.choice(_NASTY)
            break
        text = json.dumps(event, ensure_ascii=rng.random() < 0.5)
        return text.encode(errors="surrogatepass")

    def _key(self, key: bytes | None) -> bytes | None:
        rng = self._rng
        match rng.randrange(4):
            case 0:
                return None
            case 1:
                return rng.randbytes(rng.randrange(20))
            case 2:
                return (key or b"") + b"\x00"
            case _:
                return rng.choice(self._corpus).key


def from_bytes(data: bytes) -> Input:
    """An input out of a fuzzer's bytes: topic, how the key is made, key length, key, value."""
    if len(data) < 3:
        return Input(_TOPICS[0], None, data)
    topic = _TOPICS[data[0] % len(_TOPICS)]
    size = data[2] % 32
    key, value = data[3 : 3 + size], data[3 + size :]
    if data[1] % 2:
        # The key that the value names, so that good values get further.
        try:
            named = json.loads(value)["data"]
            key = str(
                next(named[k] for k in ("report_id", "case_id", "store_id") if k in named)
            ).encode(errors="surrogatepass")
        except (ValueError, KeyError, TypeError, StopIteration, RecursionError):
            pass
    return Input(topic, key, value)


def to_bytes(one: Input) -> bytes:
    """The bytes from which :func:`from_bytes` makes (nearly) that input: seeds for a fuzzer."""
    return bytes([_TOPICS.index(one.topic), 1, 0]) + (one.value or b"")
