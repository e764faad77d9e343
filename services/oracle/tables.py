"""What the oracle keeps in DuckDB: its tables, the territories, and the SQL that chooses states.

Outcomes and latest states by the one law of contract section 4, territories by its rules for
unknown and missing codes; `ROWS` sums a KPI over every territory level at once. A record's outcome
rests on the records before it in its partition only, so outcomes and states are worked out once for
the whole log, and the states as of any earlier fence are picked from them.
"""

from csv import DictReader
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

_I, _S, _B, _F = pa.int64(), pa.string(), pa.bool_(), pa.float64()
_PLACE = {"province_code": _S, "district_code": _S, "commune_code": _S}
#: The columns that a KPI needs, per table.
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "report": dict.fromkeys(("status", "category", "channel", "priority", "rating"), _S)
    | _PLACE
    | dict.fromkeys(
        ("reported_at", "acknowledged_at", "due_at", "answered_at", "closed_at", "rated_at"), _I
    )
    | {"extended_count": _I},
    "kase": dict.fromkeys(
        ("status", "level", "procedure_field", "service_level", "channel", "result_channel"), _S
    )
    | {"portal": _S, "rating": _S}
    | _PLACE
    | dict.fromkeys(
        ("registered_at", "accepted_at", "due_at", "solved_at", "returned_at", "rated_at"), _I
    )
    | dict.fromkeys(("fee_due", "dvcqg_synced_at"), _I)
    | dict.fromkeys(("components_total", "components_digitised", "components_reused"), _I)
    | dict.fromkeys(("result_digital", "auth", "popdb_checked"), _B)
    # Last, in this order: what is taken out of the payment and out of the map of steps.
    | {"pay_method": _S, "pay_amount": _I, "pay_paid_at": _I}
    | dict.fromkeys(
        ("step_receive", "step_appraise", "step_approve", "step_sign", "step_return"), _I
    ),
    "listing": dict.fromkeys(
        ("store_id", "seller_kind", "platform", "product_key", "product_group"), _S
    )
    | _PLACE
    | {"ocop_stars": _I, "stock": _I, "active": _B, "created_at": _I, "delisted_at": _I},
    "orders": dict.fromkeys(("platform", "status", "payment"), _S)
    | _PLACE
    | dict.fromkeys(("value_vnd", "placed_at", "completed_at", "cancelled_at"), _I),
    "reading": dict.fromkeys(("domain", "indicator", "territory", "kind", "text"), _S)
    | {"period_start": _I, "period_end": _I}
    | dict.fromkeys(("value", "numerator", "denominator", "target"), _F)
    | {"series": _S},
}
COMMON: dict[str, pa.DataType] = {
    "topic": _S, "part": pa.int32(), "off": _I, "arrival": _I, "time": _I,
    "entity": _S, "revision": _I, "digest": _I,
}  # fmt: skip
REJECTS: dict[str, pa.DataType] = {
    "topic": _S, "part": pa.int32(), "off": _I, "stamp": _I, "reason": _S, "detail": _S,
    "fingerprint": _I,
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The territory tables: district -> province, commune -> (district, province)."""

    districts: dict[str, str]
    communes: dict[str, tuple[str, str]]

    @classmethod
    def from_csv(cls, folder: Path) -> "Places":
        """Reads ``territories.csv`` and ``communes.csv`` of a folder."""
        with (folder / "territories.csv").open(encoding="utf-8", newline="") as f:
            districts = {r["district_code"]: r["province_code"] for r in DictReader(f)}
        with (folder / "communes.csv").open(encoding="utf-8", newline="") as f:
            communes = {
                r["commune_code"]: (r["district_code"], r["province_code"]) for r in DictReader(f)
            }
        return cls(districts, communes)

    @property
    def provinces(self) -> list[str]:
        """Province codes in order."""
        return sorted(set(self.districts.values()))

    def known(self) -> list[str]:
        """``all`` and every known code."""
        return ["all", *self.provinces, *self.districts, *self.communes]

    def commune_counts(self) -> dict[str, int]:
        """Known territory -> number of its communes."""
        counts = dict.fromkeys(self.known(), 0)
        for commune, (district, province) in self.communes.items():
            for code in ("all", province, district, commune):
                counts[code] += 1
        return counts


#: Every state that an entity was ever in, placed in its rows: a label per level, null where it does
#: not reach down. It holds from its offset to before ``until``, where the next one came.
STATES = Template("""
CREATE OR REPLACE TABLE ${table}_states AS
WITH applied AS (
    SELECT *, lead(off) OVER (PARTITION BY topic, part, entity ORDER BY off) AS until
    FROM ${table}_all SEMI JOIN applied_all USING (topic, part, off)
), filled AS (
    SELECT l.*, coalesce(l.district_code, c.district) AS d, c.district AS commune_district
    FROM applied l LEFT JOIN communes c ON c.commune = l.commune_code
), provinced AS (
    SELECT f.*, dd.province IS NOT NULL AS inside,
        CASE WHEN f.province_code IN (SELECT province FROM districts)
             THEN f.province_code ELSE 'unknown' END AS prov
    FROM filled f LEFT JOIN districts dd ON dd.district = f.d AND dd.province = f.province_code
), districted AS (
    SELECT *, CASE WHEN prov = 'unknown' THEN NULL
                   WHEN d IS NULL THEN prov || '.none'
                   WHEN inside THEN d ELSE prov || '.unknown' END AS dist
    FROM provinced
)
SELECT * EXCLUDE (d, commune_district, inside),
    CASE WHEN prov = 'unknown' OR NOT inside THEN NULL
         WHEN commune_code IS NULL THEN d || '.none'
         WHEN commune_district = d THEN commune_code ELSE d || '.unknown' END AS comm,
    CASE WHEN inside AND commune_district = d THEN commune_code END AS known_commune
FROM districted
""")

READINGS = """
CREATE OR REPLACE TABLE reading_states AS
SELECT *, lead(off) OVER (PARTITION BY topic, part, entity ORDER BY off) AS until
FROM reading_all SEMI JOIN applied_all USING (topic, part, off)
"""

#: The same of the records below the fence only.
BELOW_THE_FENCE = """
CREATE OR REPLACE TABLE fence (topic VARCHAR, part INTEGER, upto BIGINT);
CREATE OR REPLACE VIEW outcomes AS
SELECT o.* FROM outcomes_all o JOIN fence f USING (topic, part) WHERE o.off < f.upto;
CREATE OR REPLACE VIEW rejects AS
SELECT r.* FROM rejects_all r JOIN fence f USING (topic, part) WHERE r.off < f.upto;
"""

#: The latest states of the records below the fence, by which everything else is asked.
LATEST = Template("""
CREATE OR REPLACE TABLE $table AS
SELECT s.* EXCLUDE (until)
FROM ${table}_states s JOIN fence USING (topic, part)
WHERE off < upto AND (until IS NULL OR until >= upto)
""")

STEP = """
CREATE OR REPLACE TABLE step AS
WITH ends AS (
    SELECT *, [step_receive, step_appraise, step_approve, step_sign, step_return] AS times FROM kase
), each AS (
    SELECT *, unnest(range(1, 6)) AS i FROM ends
)
SELECT * EXCLUDE (times, i), times[i] AS step_at,
    ['receive', 'appraise', 'approve', 'sign', 'return'][i] AS step,
    times[i] - coalesce(list_last(list_filter(times[1:i - 1], lambda x: x IS NOT NULL)),
                        registered_at) AS duration
FROM each WHERE times[i] IS NOT NULL
"""

OUTCOMES_SQL = """
CREATE OR REPLACE TABLE outcomes_all AS
WITH aged AS (
    SELECT *, time < arrival - $keep AS too_old,
        CASE WHEN period_end - period_start < $day THEN $short ELSE $keep END AS kept
    FROM seen
), ranked AS (
    SELECT *, max(CASE WHEN NOT too_old THEN period_start END) OVER (
        PARTITION BY topic, part, series ORDER BY off
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest
    FROM aged
), dated AS (
    SELECT *, too_old OR coalesce(
        period_end < arrival - kept AND period_start < newest, false) AS expired
    FROM ranked
), compared AS (
    SELECT *,
        max(revision) OVER (PARTITION BY topic, part, tbl, entity ORDER BY off
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS known,
        first_value(digest) OVER (PARTITION BY topic, part, tbl, entity, revision
            ORDER BY off) AS first
    FROM dated WHERE NOT expired
)
SELECT topic, part, off, time, 'expired' AS outcome FROM dated WHERE expired
UNION ALL
SELECT topic, part, off, time, CASE
    WHEN known IS NULL OR revision > known THEN 'applied'
    WHEN revision < known THEN 'stale'
    WHEN digest = first THEN 'duplicate' ELSE 'conflict' END
FROM compared
UNION ALL
SELECT topic, part, off, NULL, 'rejected' FROM rejects_all
"""

#: What `ROWS` groups by: every territory, or all and the provinces only.
EVERY_LEVEL_CODE = (
    "CASE grouping(prov, dist, comm) WHEN 7 THEN 'all' WHEN 3 THEN prov WHEN 1 THEN dist"
    " ELSE comm END"
)
TOP_LEVELS_CODE = "CASE grouping(prov) WHEN 1 THEN 'all' ELSE prov END"
EVERY_LEVEL = "(by_value), (by_value, prov), (by_value, prov, dist), (by_value, prov, dist, comm)"
TOP_LEVELS = "(by_value), (by_value, prov)"

ROWS = Template("""
WITH base AS (
    SELECT prov, dist, comm, $by AS by_value, $numerator AS n, $denominator AS m
    FROM $table WHERE $where
)
SELECT $territory AS territory, by_value, $aggregate, count(*)
FROM base
GROUP BY GROUPING SETS ($sets)
HAVING territory IS NOT NULL
""")
