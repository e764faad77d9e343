"""The rows of a log: CSV, or an Open311 dump (GeoReport v2, JSON or XML), plain or gzip."""

import csv
import gzip
import io
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from services.convert.mapping import FileRule

#: A row's place in the file, for people ("line 7", "request 3"), and its texts in order of columns.
Row = tuple[int, Sequence[str]]
_GZIP = b"\x1f\x8b"
#: What reading a file may raise besides NotThisLogError.
UNREADABLE = (OSError, EOFError, UnicodeError, csv.Error, msgspec.MsgspecError, LookupError)


class NotThisLogError(Exception):
    """The file is not what the mapping says; the message says what is missing."""


class Log:
    """A file that is read from its beginning as often as asked."""

    def __init__(self, path: Path, rule: FileRule, columns: Sequence[str]) -> None:
        self.path, self.rule, self.columns = path, rule, list(columns)
        #: What a row is called.
        self.unit = "line" if rule.format == "csv" else "request"

    def rows(self) -> Iterator[Row]:
        """The columns asked for of every row; what a row lacks is an empty text.

        Raises NotThisLogError, and UNREADABLE.
        """
        with self._open() as raw:
            if self.rule.format == "csv":
                yield from self._csv(raw)
            else:
                yield from self._open311(raw)

    def _open(self) -> "io.BufferedReader[Any]":
        packed = self.rule.compression == "gzip"
        if self.rule.compression == "auto":
            with self.path.open("rb") as head:
                packed = head.read(2) == _GZIP
        found: Any = gzip.open(self.path) if packed else self.path.open("rb")
        return io.BufferedReader(found)

    def _csv(self, raw: "io.BufferedReader[Any]") -> Iterator[Row]:
        # A byte order mark is no part of the first column's name.
        encoding = "utf-8-sig" if self.rule.encoding.lower() in ("utf-8", "utf8") else None
        with io.TextIOWrapper(raw, encoding or self.rule.encoding, newline="") as lines:
            reader = csv.reader(lines, delimiter=self.rule.delimiter)
            names = next(reader, [])
            missing = [name for name in self.columns if name not in names]
            if missing:
                has = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
                raise NotThisLogError(f"no column {', '.join(missing)} (there are {has or 'none'})")
            at = [names.index(name) for name in self.columns]
            last = max(at, default=0)
            # Windows' Vietnamese writes tones as letters of their own; no table has them so.
            compose = encoding is None
            # Numbers of rows: a quoted text may hold ends of lines.
            for number, row in enumerate(reader, start=2):
                if not row:
                    continue
                if len(row) <= last:
                    row += [""] * (last + 1 - len(row))
                texts = [row[i] for i in at]
                if compose:
                    texts = [t if t.isascii() else unicodedata.normalize("NFC", t) for t in texts]
                yield number, texts

    def _open311(self, raw: "io.BufferedReader[Any]") -> Iterator[Row]:
        start = raw.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith(b"<"):
            yield from self._xml(raw)
        elif start[:1] in (b"[", b"{"):
            yield from self._json(raw.read())
        else:
            raise NotThisLogError("neither JSON nor XML")

    def _json(self, text: bytes) -> Iterator[Row]:
        found: Any = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))
        if isinstance(found, dict):
            found = found.get("service_requests", found.get("requests"))
        if not isinstance(found, list):
            raise NotThisLogError("no list of service requests")
        for number, one in enumerate(found, start=1):
            if not isinstance(one, dict):
                raise NotThisLogError(f"request {number} is no object")
            yield number, [_text(one.get(name)) for name in self.columns]

    def _xml(self, raw: "io.BufferedReader[Any]") -> Iterator[Row]:
        number = 0
        try:
            # Of the standard library: entities are neither fetched nor, beyond its limit, grown.
            for _, element in ElementTree.iterparse(raw):  # noqa: S314 (expat bounds expansion)
                if element.tag == "request":
                    number += 1
                    texts = {child.tag: (child.text or "") for child in element}
                    yield number, [texts.get(name, "") for name in self.columns]
                    element.clear()
        except ElementTree.ParseError as error:
            raise NotThisLogError(f"no XML: {error}") from None
        if not number:
            raise NotThisLogError("no element <request>")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
