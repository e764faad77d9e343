"""A wrong mapping is refused before a row is read, and the message names the place in the YAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import v1
from services.convert.conversion import Conversion
from services.convert.loading import kinds_of, load, parse
from services.convert.main import shipped
from services.convert.mapping import MappingError
from services.runtime.reference import load_territories

EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"

GOOD = """
mapping: 1
name: tiny
source: /tiny
target: field_report
entity: "{id}"
territory: unknown
fields:
  category: {column: kind, map: {hole: road}, default: other}
  channel: web
  priority: normal
  reported_at: {column: opened}
changes:
  - at: opened
    set: {status: received}
"""


def changed(*path: Any, to: Any) -> Any:
    """The good mapping with one member set (``...``: taken out)."""
    raw = yaml.safe_load(GOOD)
    at = raw
    for step in path[:-1]:
        at = at[step]
    if to is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return raw


@pytest.mark.parametrize("path", [*shipped().values(), *sorted(EXAMPLES.glob("*.yml"))], ids=str)
def test_every_mapping_that_we_ship_can_be_used(path: Path) -> None:
    mapping = load(path)
    assert mapping.head.title
    assert Conversion(mapping, load_territories()).columns


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (changed("nam", to="x"), "the mapping: Object contains unknown field `nam`"),
        (changed("mapping", to=2), "mapping: Invalid enum value 2"),
        (changed("target", to="tweet"), "target: Invalid enum value 'tweet'"),
        (changed("entity", to=...), "Object missing required field `entity`"),
        (changed("time", to={"zon": "Z"}), "time: Object contains unknown field `zon`"),
        (changed("file", to={"format": "xlsx"}), "file.format: Invalid enum value 'xlsx'"),
        (changed("territory", to=...), "territory: missing"),
        (changed("territory", to="999"), "territory: no territory has the code '999'"),
        (
            changed("territory", to={"column": "a", "table": {"b": "999"}, "default": "51"}),
            "territory.table['b']: no territory has the code '999'",
        ),
        (
            changed("territory", to={"column": "a", "table": {"b": 51}}),
            "territory.table[...]: Expected `str`, got `int`",
        ),
        (changed("territory", to={"column": "a"}), "territory: give table or file"),
        (changed("fields", "channel", to=...), "fields.channel: missing: every field_report has"),
        (changed("fields", "chanel", to="web"), "fields.chanel: field_report has no such field"),
        (changed("fields", "channel", to="fax"), "fields.channel.const: 'fax' is not one of app,"),
        (
            changed("fields", "category", "map", "hole", to="hole"),
            "fields.category.map['hole']: 'hole' is not one of road,",
        ),
        (
            changed("fields", "category", "default", to="none"),
            "fields.category.default: 'none' is not one of road,",
        ),
        (
            changed("fields", "category", "colum", to="x"),
            "fields.category: Object contains unknown field `colum`",
        ),
        (
            changed("fields", "category", "const", to="road"),
            "fields.category: expected one of column, const,",
        ),
        (changed("fields", "report_id", to="x"), "fields.report_id: is filled by entity"),
        (changed("fields", "revision", to=1), "fields.revision: is filled by entity"),
        (
            changed("fields", "category", "map", False, to="road"),
            "fields.category.map: the key False is no text: put it in quotes",
        ),
        (changed("changes", to=[]), "changes: missing"),
        (changed("changes", 0, "at", to=...), "changes[0]: Object missing required field `at`"),
        (changed("changes", 0, "set", "status", to="new"), "changes[0].set.status.const: 'new' is"),
        (
            changed("changes", 0, "when", to=[{"column": "a", "matches": "("}]),
            "changes[0].when[0].matches: no regular expression",
        ),
        (changed("where", to=[{"columns": "a"}]), "where[0]: Object contains unknown field"),
        (changed("time", to={"zone": "Mars/Base"}), "'Mars/Base' is no zone"),
        (changed("time", to={"format": "yesterday"}), "'yesterday' is no format of times"),
        (
            changed("fields", "due_at", to={"column": "opened", "plus": "a while"}),
            "fields.due_at.plus: 'a while' is no length of time",
        ),
        (
            changed("fields", "priority", to={"span": {"from": "a", "to": "b"}}),
            "fields.priority: span needs bands",
        ),
        (
            changed("fields", "lat", to={"column": "a", "times": "much"}),
            "fields.lat.times: 'much' is no number",
        ),
        (
            changed("fields", "status_note", to={"multiply": ["a", "b"]}),
            "fields.status_note: multiply gives a number",
        ),
        ([1, 2], "expected a mapping of names to values"),
    ],
)
def test_a_wrong_mapping_is_named_by_its_path(raw: Any, said: str) -> None:
    with pytest.raises(MappingError) as wrong:
        Conversion(parse(raw), load_territories())
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mapping: 1\nmapping: 1\n", "'mapping' stands twice, line 2"),
        ("a: [1, 2", "no YAML"),
        ("a: !!python/object/apply:os.system [ls]", "no YAML"),
    ],
)
def test_a_file_that_is_no_safe_yaml_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mapping.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=said):
        load(path)


def test_a_territory_file_is_looked_for_beside_the_mapping(tmp_path: Path) -> None:
    raw = changed("territory", to={"column": "ward", "file": "wards.csv"})
    with pytest.raises(MappingError, match=r"territory\.file: .*wards\.csv cannot be read"):
        Conversion(parse(raw, tmp_path), load_territories())
    (tmp_path / "wards.csv").write_text("ward,code\n1,522\n", encoding="utf-8")
    with pytest.raises(MappingError, match="has not the columns value and code"):
        Conversion(parse(raw, tmp_path), load_territories())
    (tmp_path / "wards.csv").write_text("value,code\n1,522\n", encoding="utf-8")
    assert Conversion(parse(raw, tmp_path), load_territories())


def test_fields_of_parts_are_named_with_a_dot() -> None:
    kinds = kinds_of(v1.AdminCase)
    assert kinds["payment.paid_at"] is v1.Instant
    assert kinds["steps"] == "step"
    assert kinds["due_at"] is v1.Instant
    assert kinds["fee_due"] is int
    assert kinds_of(v1.Indicator)["dims.*"] is str
