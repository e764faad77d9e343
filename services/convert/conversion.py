"""A log through a mapping: rows become changes, the changes of an entity its revisions.

Nothing is said before it was known: every change has a time of its own, and revision n is what the
first n changes of an entity made of it. Each event goes through the pipeline's own decoder before
it leaves here.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from schemas import catalog, codec
from services.convert.loading import kind_of, kinds_of
from services.convert.mapping import KEEP, Change, LogMapping, MappingError, Rule
from services.convert.places import NoPlaceError, finder
from services.convert.reading import Log, Row
from services.convert.rules import (
    AT,
    KEPT,
    RowError,
    Surroundings,
    Texts,
    Value,
    compiled,
    condition,
    template,
)
from services.core.territory import Territories

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_STEPS = "steps"


class Revision(NamedTuple):
    """One event to send: ``arrival`` in ms since the epoch, the Kafka key, the CloudEvent."""

    arrival: int
    key: bytes
    value: bytes


@dataclass
class Findings:
    """What was met in a log, by outcome."""

    rows: int = 0
    #: Rows that the mapping's ``where`` leaves out.
    left_out: int = 0
    #: Rows that cannot be used, by reason.
    rejects: Counter[str] = field(default_factory=Counter)
    #: Events that the pipeline's own decoder would not take, by reason.
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    #: Words that no table of the mapping has.
    unknown: Counter[str] = field(default_factory=Counter)
    #: Fields whose text looks like a telephone number or an address.
    personal: Counter[str] = field(default_factory=Counter)
    #: Entities of which something is told.
    entities: int = 0
    #: Changes that changed nothing, and those after the replay clock.
    unchanged: int = 0
    not_yet: int = 0

    def reject(self, reason: str, where: str) -> None:
        self.rejects[reason] += 1
        self.examples.setdefault(reason, where)

    def refuse(self, reason: str, where: str) -> None:
        self.refused[reason] += 1
        self.examples.setdefault(reason, where)

    @property
    def clean(self) -> bool:
        return not self.rejects and not self.refused


class _Happening(NamedTuple):
    """One change of one entity, as a row told it."""

    ms: int
    rule: int
    number: int
    at: dt.datetime
    base: tuple[Any, ...]
    values: tuple[Any, ...]


class _Field(NamedTuple):
    name: str
    value: Value
    rule: Rule
    #: Cannot simply be overwritten: it depends on what was before, or on another field.
    special: bool


@dataclass(frozen=True)
class _Step:
    """A compiled change."""

    at: int
    column: str
    clock: Callable[[str], dt.datetime]
    when: list[Callable[[Texts], bool]]
    fields: list[_Field]
    change: Change


_PLACE = ("province_code", "district_code", "commune_code")


class Conversion:
    """One mapping, ready for logs of its kind. ``shift`` moves every time."""

    def __init__(
        self, mapping: LogMapping, territories: Territories, shift: dt.timedelta = dt.timedelta(0)
    ) -> None:
        """Raises MappingError for what shows only now: codes, zones, formats."""
        self.mapping, self.findings = mapping, Findings()
        self.columns = mapping.columns()
        index = {name: i for i, name in enumerate(self.columns)}
        times = mapping.head.time
        around = Surroundings(index, times.format, times.zone, shift, unknown=self.findings.unknown)
        self._watch = around.watch
        self._where = [condition(rule, index) for rule in mapping.where]
        self._entity = template(mapping.head.entity, index)
        self._find = finder(mapping, index, territories, self.findings.unknown)
        kinds = kinds_of(mapping.target.struct)
        info: Any = msgspec.structs.fields(mapping.target.struct)
        needed = {x.name for x in info if x.required}

        def make(path: str, rules: Iterable[tuple[str, Rule]]) -> list[_Field]:
            return [self._field(f"{path}.{n}", n, r, kinds, n in needed, around) for n, r in rules]

        self._base = make("fields", mapping.fields.items())
        self._steps = [
            _Step(
                index[c.head.at],
                c.head.at,
                around.clock(f"changes[{n}]", c.head.format, c.head.zone),
                [condition(rule, index) for rule in c.head.when],
                make(f"changes[{n}].set", c.fields.items()),
                c,
            )
            for n, c in enumerate(mapping.changes)
        ]
        names = [*(f.name for f in self._base), *(f.name for s in self._steps for f in s.fields)]
        self._nested = sorted({name.partition(".")[0] for name in names if "." in name})

    @staticmethod
    def _field(
        path: str, name: str, rule: Rule, kinds: Any, needed: bool, around: Surroundings
    ) -> _Field:
        kind = kind_of(kinds, name)
        value = compiled(path, name, rule, kind, around)
        if rule.running is not None and kind is not int:
            raise MappingError(f"{path}.running", "is for whole numbers")
        special = (
            name == _STEPS or rule.once or rule.at or rule.only_if is not None
            or rule.running is not None
            or KEEP in (rule.default, *(rule.map or {}).values()) or rule.first is not None
        )  # fmt: skip
        if needed and rule.only_if is None:
            plain, reason = value, f"{name}: {rule.column or 'its column'} is empty"

            def required(row: Texts) -> Any:
                found = plain(row)
                if found is None:
                    raise RowError(reason)
                return found

            value = required
        return _Field(name, value, rule, special)

    # --- rows to changes ------------------------------------------------------------------------

    def first_opening(self, rows: Iterable[Row]) -> dt.datetime | None:
        """The earliest time of the first change, or None where no row has a readable one."""
        step = self._steps[0]
        found = None
        for _, row in rows:
            try:
                at = step.clock(row[step.at].strip())
            except (ValueError, OverflowError):
                continue
            if found is None or at < found:
                found = at
        return found

    def revisions(self, log: Log, until: dt.datetime | None = None) -> list[Revision]:
        """Every revision of a log in order of arrival; those after ``until`` are not known yet.

        What was met is in ``findings``. No row makes this raise; reading the file may.
        """
        entities = self._collect(log)
        limit = None if until is None else (until - _EPOCH) // _MS
        found: list[Revision] = []
        for entity, happenings in entities.items():
            told = self._fold(entity, happenings, limit, log.unit)
            self.findings.entities += bool(told)
            found += told
        self.findings.personal = self._watch.found
        # sort() is stable: revision 1 stays before revision 2 of the same millisecond.
        found.sort(key=lambda revision: revision.arrival)
        return found

    def _collect(self, log: Log) -> dict[str, list[_Happening]]:
        findings, where = self.findings, self._where
        repeated = self.mapping.head.repeated_id
        entities: dict[str, list[_Happening]] = {}
        copies: Counter[str] = Counter()
        told: set[tuple[str, int]] = set()
        for number, row in log.rows():
            findings.rows += 1
            if where and not all(meets(row) for meets in where):
                findings.left_out += 1
                continue
            try:
                entity = self._entity(row)
                if not entity:
                    raise RowError(f"no {self.mapping.head.entity}")
                happenings = self._happenings(number, row)
                if entity in entities and repeated != "revision":
                    if repeated == "reject":
                        raise RowError("id twice")
                    copies[entity] += 1
                    entity = f"{entity}.{copies[entity] + 1}"
            except (RowError, NoPlaceError) as error:
                findings.reject(str(error), f"{log.unit} {number}")
                continue
            kept = entities.setdefault(entity, [])
            for one in happenings:
                if self._steps[one.rule].change.head.once:
                    if (entity, one.rule) in told:
                        continue
                    told.add((entity, one.rule))
                kept.append(one)
        return entities

    def _happenings(self, number: int, row: Texts) -> list[_Happening]:
        # Times first: a row without them is told just that.
        moments: list[tuple[int, dt.datetime]] = []
        for rule, step in enumerate(self._steps):
            if step.when and not all(meets(row) for meets in step.when):
                continue
            text = row[step.at].strip()
            if not text:
                if step.change.head.required:
                    raise RowError(f"no {step.column}")
                continue
            try:
                moments.append((rule, step.clock(text)))
            except (ValueError, OverflowError):
                raise RowError(f"{step.column} is no time") from None
        if not moments:
            raise RowError("nothing happens in it")
        base = (*self._find(row), *(f.value(row) for f in self._base))
        return [
            _Happening(
                (at - _EPOCH) // _MS,
                rule,
                number,
                at,
                base,
                tuple(f.value(row) for f in self._steps[rule].fields),
            )
            for rule, at in moments
        ]

    # --- changes to revisions -------------------------------------------------------------------

    def _fold(
        self, entity: str, happenings: list[_Happening], limit: int | None, unit: str
    ) -> list[Revision]:
        ordered = self._in_order(happenings, unit)
        target, head = self.mapping.target, self.mapping.head
        state: dict[str, Any] = {}
        if target.id_field is not None:
            state[target.id_field] = entity
        out: list[Revision] = []
        before: dict[str, Any] | None = None
        number = 0
        for n, (ms, one) in enumerate(ordered):
            if limit is not None and ms > limit:
                self.findings.not_yet += len(ordered) - n
                break
            at = one.at if ms == one.ms else ordered[0][1].at
            self._apply(state, one)
            data = self._data(state)
            if head.unchanged == "skip" and data == before:
                self.findings.unchanged += 1
                continue
            before = data
            number += 1
            revision = self._encoded(entity, number, at, ms, data)
            if isinstance(revision, str):
                self.findings.refuse(revision, f"{unit} {one.number}")
            else:
                out.append(revision)
        return out

    def _in_order(self, happenings: list[_Happening], unit: str) -> list[tuple[int, _Happening]]:
        """With the time at which each is told: none before the entity was opened."""
        if len(happenings) == 1:
            return [(happenings[0].ms, happenings[0])]
        opening = min((h.ms for h in happenings if h.rule == 0), default=None)
        if opening is None:
            return [(h.ms, h) for h in sorted(happenings, key=lambda h: h.ms)]
        bad: set[int] = set()
        for one in happenings:
            head = self._steps[one.rule].change.head
            if one.ms < opening and head.early == "reject" and one.number not in bad:
                bad.add(one.number)
                reason = f"{head.at} lies before {self._steps[0].column}"
                self.findings.reject(reason, f"{unit} {one.number}")
        told = [(max(h.ms, opening), h) for h in happenings if h.number not in bad]
        return sorted(told, key=lambda x: (x[0], x[1].rule != 0, x[1].ms))

    def _apply(self, state: dict[str, Any], one: _Happening) -> None:
        if self.mapping.target.id_field is None:
            province, district, commune = one.base[:3]
            state["territory"] = commune or district or province
        else:
            state.update(zip(_PLACE, one.base[:3], strict=True))
        self._set(state, self._base, one.base[3:], one.at)
        self._set(state, self._steps[one.rule].fields, one.values, one.at)

    @staticmethod
    def _set(
        state: dict[str, Any], fields: list[_Field], values: tuple[Any, ...], at: dt.datetime
    ) -> None:
        for (name, _, rule, special), value in zip(fields, values, strict=True):
            if not special:
                state[name] = value
                continue
            if value is KEPT:
                continue
            conditions = rule.only_if
            if conditions is not None and any(
                state.get(other) not in words for other, words in conditions.items()
            ):
                continue
            if value is AT:
                value = at
            if rule.once and state.get(name) is not None:
                continue
            if name == _STEPS:
                if value is not None:
                    state[name] = {**(state.get(name) or {}), value: at}
            elif rule.running is not None:
                found = state.get(name, rule.running.start) + (value or 0)
                least = rule.running.least
                state[name] = found if least is None else max(least, found)
            else:
                state[name] = value

    def _data(self, state: dict[str, Any]) -> dict[str, Any]:
        data = dict(state)
        for parent in self._nested:
            inner: dict[str, Any] = {}
            for name in [n for n in data if n.startswith(f"{parent}.")]:
                value = data.pop(name)
                if value is not None:
                    inner[name.partition(".")[2]] = value
            data[parent] = {**(data.get(parent) or {}), **inner} or None
        return data

    def _encoded(
        self, entity: str, number: int, at: dt.datetime, ms: int, data: dict[str, Any]
    ) -> Revision | str:
        target = self.mapping.target
        event = {
            "specversion": "1.0",
            "id": f"{entity}-{number}",
            "source": self.mapping.head.source,
            "type": target.type,
            "subject": entity,
            "time": at,
            "data": {**data, "revision": number},
        }
        value = msgspec.json.encode(event)
        key = self._key(entity, data).encode()
        found = codec.decode(
            target.topic, key, value, 0, catalog.DEFAULT_PARTITIONS, ms, check_partition=False
        )
        if isinstance(found, codec.Rejected):
            return f"{found.reason}: {found.detail}"
        return Revision(ms, key, value)

    def _key(self, entity: str, data: dict[str, Any]) -> str:
        if self.mapping.target.id_field is None:
            dims = ";".join(f"{k}={v}" for k, v in sorted((data.get("dims") or {}).items()))
            return f"{data.get('indicator')}|{data.get('territory')}|{dims}"
        return str(data["store_id"]) if "store_id" in data else entity
