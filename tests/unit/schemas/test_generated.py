"""The generated contract says what the decoder does, and yesterday's bytes decode today."""

import datetime
import json
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from schemas import catalog, codec, generate, v1

SAMPLES = sorted((Path(__file__).parent / "v1_samples").glob("*.json"))
SCHEMAS = generate.json_schemas()


def series_key(data: dict[str, Any]) -> str:
    dims = ";".join(f"{k}={v}" for k, v in sorted((data.get("dims") or {}).items()))
    return f"{data['indicator']}|{data['territory']}|{dims}"


#: The Kafka key of an event's data, written down independently of the codec.
KEYS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ioc.field_report.v1": operator.itemgetter("report_id"),
    "ioc.admin_case.v1": operator.itemgetter("case_id"),
    "ioc.listing.v1": operator.itemgetter("store_id"),
    "ioc.order.v1": operator.itemgetter("store_id"),
    "ioc.indicator.v1": series_key,
}


def sample_id(path: Path) -> str:
    return path.name.removesuffix(".json")


def load(path: Path) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(path.read_bytes())
    return event


def errors(event: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(
        SCHEMAS[event["type"]], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    return [error.message for error in validator.iter_errors(event)]


def test_committed_files_are_what_the_code_generates() -> None:
    assert "\n".join(generate.drift()) == ""


def test_drift_names_a_changed_a_missing_and_a_left_over_file(tmp_path: Path) -> None:
    for name, text in generate.files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert generate.drift(tmp_path) == []
    (tmp_path / "order.v1.schema.json").write_text("{}\n", encoding="utf-8")
    (tmp_path / "listing.v1.schema.json").unlink()
    (tmp_path / "old.v1.schema.json").write_text("{}\n", encoding="utf-8")
    named = {line.split()[1] for line in generate.drift(tmp_path) if line.startswith("+++")}
    assert named == {"order.v1.schema.json", "listing.v1.schema.json", "old.v1.schema.json"}


def test_a_wrong_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--chekc"]) == 2
    assert "usage" in capsys.readouterr().err


def test_there_is_a_schema_for_every_type_of_every_source_topic() -> None:
    assert set(SCHEMAS) == {kind for topic in catalog.SOURCES for kind in topic.events}
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_type_has_a_full_and_a_minimal_sample() -> None:
    names = {sample_id(path) for path in SAMPLES}
    kinds = {kind.removeprefix("ioc.").removesuffix(".v1") for kind in SCHEMAS}
    assert names >= {f"{kind}.{size}" for kind in kinds for size in ("full", "minimal")}


def test_full_samples_carry_every_field_of_their_struct() -> None:
    for path in SAMPLES:
        if not sample_id(path).endswith(".full"):
            continue
        event = load(path)
        schema = SCHEMAS[event["type"]]
        data = schema["$defs"][schema["properties"]["data"]["$ref"].rsplit("/", 1)[-1]]
        assert set(data["properties"]) == set(event["data"]), path.name


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_samples_are_valid_by_their_schema(path: Path) -> None:
    assert errors(load(path)) == []


def broken() -> Iterator[Any]:
    def case(name: str, sample: str, *keys: str, value: object = None) -> Any:
        return pytest.param(sample, keys, value, id=name)

    yield case("envelope member of the wrong version", "order.full", "specversion", value="0.3")
    yield case("number given as text", "order.full", "data", "value_vnd", value="370000")
    yield case("instant given as a number", "order.full", "data", "placed_at", value=17)
    yield case("unknown status", "field_report.full", "data", "status", value="done")
    yield case("revision zero", "listing.minimal", "data", "revision", value=0)
    yield case("price above the contract's", "listing.full", "data", "price_vnd", value=10**8)
    yield case("more than five stars", "listing.full", "data", "ocop_stars", value=6)
    yield case("null where a value is required", "admin_case.full", "data", "case_id", value=None)
    yield case("dims that are no text", "indicator.full", "data", "dims", value={"tier": 1})


@pytest.mark.parametrize(("sample", "keys", "value"), list(broken()))
def test_schema_refuses(sample: str, keys: tuple[str, ...], value: object) -> None:
    event = load(Path(__file__).parent / "v1_samples" / f"{sample}.json")
    *parents, last = keys
    node = event
    for key in parents:
        node = node[key]
    node[last] = value
    assert errors(event)


def test_asyncapi_has_a_channel_for_every_topic_and_no_loose_reference() -> None:
    document = generate.asyncapi()
    assert [c["address"] for c in document["channels"].values()] == [t.name for t in catalog.TOPICS]
    references = [line for line in json.dumps(document, indent=0).splitlines() if '"$ref"' in line]
    assert references
    for line in references:
        node: Any = document
        for part in line.split('"')[3].removeprefix("#/").split("/"):
            node = node[part]


def test_asyncapi_states_keys_headers_and_log_append_time_independent_retention() -> None:
    document = generate.asyncapi()
    kafka = document["channels"]["fieldReport"]["bindings"]["kafka"]
    assert kafka["topicConfiguration"]["retention.ms"] == 400 * 86_400_000
    message = document["components"]["messages"]["order"]
    assert message["bindings"]["kafka"]["key"]["description"] == "data.store_id"
    headers = document["components"]["schemas"]["DeadLetterHeaders"]
    assert headers["properties"]["ioc-reason"]["enum"][0] == "too_large"


def test_a_custom_type_without_a_schema_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        generate._instant(complex)
    assert generate._instant(v1.Instant) == {"type": "string", "format": "date-time"}


@pytest.mark.parametrize("path", SAMPLES, ids=sample_id)
def test_yesterdays_bytes_decode_today(path: Path) -> None:
    value = path.read_bytes()
    sent = json.loads(value)
    topic = next(t for t in catalog.SOURCES if sent["type"] in t.events)
    struct = topic.events[sent["type"]]
    arrival = datetime.datetime.fromisoformat(sent["time"]).timestamp() * 1000
    key = KEYS[sent["type"]](sent["data"]).encode()
    partition = codec.partition_of(key, 4)
    event = codec.decode(topic, key, value, partition, 4, int(arrival))
    assert isinstance(event, struct), event
    # What was decoded is what was sent: the same JSON again, times as instants.
    decoded = json.loads(msgspec.json.encode(event.data, enc_hook=int))
    for name, value_sent in sent["data"].items():
        if name in decoded:
            assert decoded[name] == as_instants(name, value_sent), name


def as_instants(name: str, value: Any) -> Any:
    """The sent value with every RFC 3339 text of a milestone field as milliseconds."""
    if isinstance(value, dict):
        return {k: as_instants(name if name == "steps" else k, v) for k, v in value.items()}
    if isinstance(value, str) and (name.endswith("_at") or name.startswith("period_")):
        return codec.parse_instant(value)
    if isinstance(value, str) and name == "steps":
        return codec.parse_instant(value)
    return value
