"""Writes the contract for other languages: JSON Schema per event type and one AsyncAPI document.

``python -m schemas.generate`` writes ``schemas/generated/``; ``--check`` writes nothing, names
every file that differs and exits 1. Everything comes from ``schemas.v1`` and ``schemas.catalog``,
so the files can only say what the decoder does. Room: schemas; this module alone touches files,
and only when it is run.
"""

import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from schemas import catalog, codec, v1

OUT = Path(__file__).parent / "generated"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONTENT_TYPE = "application/cloudevents+json"

#: What a source topic's key is made of (contract sections 1 and 3.5).
KEYS: Mapping[str, str] = {
    catalog.FIELD_REPORT.name: "data.report_id",
    catalog.ADMIN_CASE.name: "data.case_id",
    catalog.LISTING.name: "data.store_id",
    catalog.INDICATOR.name: "the series key: indicator|territory|k=v;k=v with sorted dims, "
    "ending in | without dims",
}

_SUMMARIES: Mapping[str, str] = {
    catalog.KPI_PARTIAL.name: "Mergeable partial results. Private: binary, versioned, compacted.",
    catalog.DEAD_LETTER.name: "Records that could not be used: original key, bytes and headers.",
}

#: Optional CloudEvents attributes that the decoder need not look at.
_UNREAD_ATTRIBUTES = ("subject", "datacontenttype", "dataschema", "traceparent")


def _instant(kind: type) -> dict[str, Any]:
    if kind is v1.Instant:
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError(kind)


def _components(ref_template: str) -> dict[str, dict[str, Any]]:
    _, components = msgspec.json.schema_components(
        list(_events().values()), schema_hook=_instant, ref_template=ref_template
    )
    for struct in _events().values():
        properties = components[struct.__name__]["properties"]
        for name in _UNREAD_ATTRIBUTES:
            properties[name] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    return {name: dict(components[name]) for name in sorted(components)}


def _events() -> dict[str, type[v1.Event]]:
    return {kind: struct for topic in catalog.SOURCES for kind, struct in topic.events.items()}


def _short(kind: str) -> str:
    return kind.removeprefix("ioc.").removesuffix(".v1")


def json_schemas() -> dict[str, dict[str, Any]]:
    """CloudEvents ``type`` -> JSON Schema 2020-12 of its whole event, envelope and data."""
    components = _components("#/$defs/{name}")
    schemas: dict[str, dict[str, Any]] = {}
    for kind, struct in _events().items():
        top = components[struct.__name__]
        schemas[kind] = {
            "$schema": DIALECT,
            "$id": f"urn:ioc:schema:{_short(kind)}:v1",
            **top,
            "title": kind,
            "description": "Structured-mode CloudEvents 1.0 JSON, at most "
            f"{catalog.MAX_EVENT_BYTES} bytes. Unknown members are ignored, here and in data.",
            "$defs": _referenced(top, components),
        }
    return schemas


def _referenced(
    node: object, components: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    waiting = [node]
    while waiting:
        match waiting.pop():
            case dict() as members:
                if isinstance(ref := members.get("$ref"), str):
                    name = ref.rsplit("/", 1)[-1]
                    if name not in found:
                        found[name] = components[name]
                        waiting.append(components[name])
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
            case _:
                pass
    return dict(sorted(found.items()))


def _text(description: str, **more: object) -> dict[str, object]:
    return {"type": "string", "description": description, **more}


def _headers() -> dict[str, Any]:
    content_type = _text("Written by the producers, not checked.", const=CONTENT_TYPE)
    arrival = _text(
        "Milliseconds since the epoch: the recorded or simulated time of arrival. It is the "
        "record's arrival in a system with IOC_CLOCK=event; one with IOC_CLOCK=wall ignores it "
        "and takes the broker's timestamp.",
        pattern="^[0-9]+$",
    )
    return {
        "EventHeaders": {
            "type": "object",
            "properties": {"content-type": content_type, "ioc-arrival": arrival},
        },
        "DeadLetterHeaders": {
            "type": "object",
            "description": "The original headers, unchanged, and these.",
            "required": ["ioc-reason", "ioc-detail", "ioc-topic", "ioc-partition", "ioc-offset"],
            "properties": {
                "ioc-reason": _text(
                    "The first that applies, in this order.", enum=list(codec.REASONS)
                ),
                "ioc-detail": _text("Field path and what was expected; no personal data."),
                "ioc-topic": _text("The topic that the record was read from."),
                "ioc-partition": _text("Its partition.", pattern="^[0-9]+$"),
                "ioc-offset": _text("Its offset.", pattern="^[0-9]+$"),
                "ioc-arrival": arrival,
            },
        },
    }


def _message(topic: catalog.Topic, kind: str, struct: type[v1.Event]) -> dict[str, Any]:
    return {
        "name": kind,
        "title": kind,
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/EventHeaders"},
        "payload": {"$ref": f"#/components/schemas/{struct.__name__}"},
        "bindings": {"kafka": {"key": _text(KEYS[topic.name]), "bindingVersion": "0.5.0"}},
    }


def _private_messages() -> dict[str, dict[str, Any]]:
    return {
        "kpiPartial": {
            "name": "kpiPartial",
            "title": "A flush of one partition's state",
            "contentType": "application/octet-stream",
            "summary": _SUMMARIES[catalog.KPI_PARTIAL.name],
        },
        "deadLetter": {
            "name": "deadLetter",
            "title": "A rejected record",
            "contentType": "application/octet-stream",
            "summary": _SUMMARIES[catalog.DEAD_LETTER.name],
            "headers": {"$ref": "#/components/schemas/DeadLetterHeaders"},
            "bindings": {
                "kafka": {"key": _text("The original key, or none."), "bindingVersion": "0.5.0"}
            },
        },
    }


def _camel(name: str) -> str:
    head, *rest = name.replace("_", "-").split("-")
    return head + "".join(part.capitalize() for part in rest)


def _channel(topic: catalog.Topic, messages: list[str]) -> dict[str, Any]:
    kafka: dict[str, Any] = {"topic": topic.full_name(""), "bindingVersion": "0.5.0"}
    if topic is not catalog.DEAD_LETTER:
        kafka["partitions"] = catalog.DEFAULT_PARTITIONS
    configuration: dict[str, object] = {"cleanup.policy": [topic.config["cleanup.policy"]]}
    if topic in catalog.SOURCES:
        configuration["retention.ms"] = catalog.DEFAULT_RETENTION_DAYS * catalog.DAY_MS
    configuration["max.message.bytes"] = int(topic.config["max.message.bytes"])
    kafka["topicConfiguration"] = configuration
    return {
        "address": topic.full_name(""),
        "description": _SUMMARIES.get(
            topic.name,
            "Every event carries the whole current state of one entity with a growing revision. "
            "A namespace NS puts NS. before the address. Partition: murmur2(key).",
        ),
        "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in messages},
        "bindings": {"kafka": kafka},
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of every topic: who may send what, keys, headers and payloads."""
    messages = _private_messages()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in catalog.TOPICS:
        names = [_camel(_short(kind)) for kind in topic.events] or [_camel(topic.kind)]
        for name, (kind, struct) in zip(names, topic.events.items(), strict=False):
            messages[name] = _message(topic, kind, struct)
        channel = _camel(topic.kind)
        channels[channel] = _channel(topic, names)
        # AsyncAPI speaks from the application's side: it receives events and sends dead letters.
        operations[("receive-" if topic.events else "send-") + topic.kind] = {
            "action": "receive" if topic.events else "send",
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "IOC pipeline",
            "version": "1.0.0",
            "description": "The Kafka topics of the IOC pipeline, contract version 1. It may grow "
            "(new optional fields, new topics); it never changes meaning.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": dict(sorted(messages.items())),
            "schemas": {**_components("#/components/schemas/{name}"), **_headers()},
        },
    }


def files() -> dict[str, str]:
    """File name -> text of everything in ``schemas/generated``."""
    documents = {f"{_short(kind)}.v1.schema.json": s for kind, s in json_schemas().items()}
    documents["asyncapi.json"] = asyncapi()
    return {
        name: json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        for name, document in sorted(documents.items())
    }


def drift(directory: Path = OUT) -> list[str]:
    """Unified diff lines between ``directory`` and what would be written; empty when equal."""
    wanted = files()
    have = {p.name: p.read_text(encoding="utf-8") for p in sorted(directory.glob("*.json"))}
    lines: list[str] = []
    for name in sorted(wanted.keys() | have.keys()):
        lines += difflib.unified_diff(
            have.get(name, "").splitlines(),
            wanted.get(name, "").splitlines(),
            f"{name} (committed)",
            f"{name} (generated)",
            lineterm="",
        )
    return lines


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` compare them. Returns the exit code: 0, 1 or 2."""
    if arguments == ["--check"]:
        lines = drift()
        if lines:
            sys.stdout.write("\n".join([*lines, "run: python -m schemas.generate", ""]))
        return 1 if lines else 0
    if arguments:
        sys.stderr.write("usage: python -m schemas.generate [--check]\n")
        return 2
    OUT.mkdir(exist_ok=True)
    wanted = files()
    for path in OUT.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (OUT / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"schemas/generated/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
