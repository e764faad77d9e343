"""Whether a text that is about to be sent looks like a telephone number or a mail address.

Columns that are not mapped are never sent; of those that are, this is the warning.
"""

import re
from collections import Counter

_MAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![\w.,/-])\+?\(?\d[\d\s().-]{6,}\d(?![\w/])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_MEMO_LIMIT = 1 << 16


def looks_like(text: str) -> str | None:
    """``e-mail``, ``telephone``, or None."""
    if "@" in text and _MAIL.search(text):
        return "e-mail"
    for found in _PHONE.finditer(text):
        digits = sum(c.isdigit() for c in found[0])
        if 9 <= digits <= 14 and not _DATE.search(found[0]):
            return "telephone"
    return None


class Watch:
    """Counts what looks personal in each field; texts repeat, so it remembers them."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self._known: dict[str, str | None] = {}

    def look(self, field: str, text: str) -> None:
        if text in self._known:
            kind = self._known[text]
        else:
            if len(self._known) >= _MEMO_LIMIT:
                self._known.clear()
            kind = self._known[text] = looks_like(text)
        if kind is not None:
            self.found[f"{field} looks like {kind}"] += 1
