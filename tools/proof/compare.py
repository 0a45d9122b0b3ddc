# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two answers are the same, but for what belongs to one request alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from tools.proof.host import Answer

VOLATILE = frozenset(("age", "age_ts", "last_active_ago", "next_batch", "prev_batch", "start", "end", "pos"))
"""Fields that tell the time or a place in a stream, in any answer."""


def normal(answer: Answer, names: Mapping[str, str], volatile: Iterable[str] = ()) -> str:
    """Returns what is to be compared of an answer, as text.

    Args:
        answer: the answer.
        names: what the names of its request stand for; wherever it has that, it gets the name.
        volatile: fields of which only the type counts.
    """
    hidden = VOLATILE.union(volatile)
    # Longer ones first: a name of a user is a part of its ID.
    spelt = sorted(names.items(), key=lambda item: -len(item[1]))
    body = answer.json
    if body is None:
        text = _renamed(answer.content.decode(errors="replace"), spelt)
        shown: Any = f"{len(text)} characters" if "body" in hidden else text
    else:
        shown = _bare(body, spelt, hidden)
    found = {"status": answer.status, "kind": answer.kind, "body": shown}
    if answer.location:
        parts = urlsplit(answer.location)
        found["location"] = _renamed(f"{parts.netloc}{parts.path}", spelt)
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)


def _bare(value: Any, spelt: list[tuple[str, str]], hidden: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {
            _renamed(key, spelt): f"<{type(item).__name__}>" if key in hidden else _bare(item, spelt, hidden)
            for key, item in value.items()
        }
    if isinstance(value, list):
        found = [_bare(item, spelt, hidden) for item in value]
        # A list of texts is a set, which has no order in Synapse.
        return sorted(found) if all(isinstance(item, str) for item in found) else found
    return _renamed(value, spelt) if isinstance(value, str) else value


def _renamed(text: str, spelt: list[tuple[str, str]]) -> str:
    for name, value in spelt:
        for written in (value, quote(value, safe="")):
            text = text.replace(written, f"{{{name}}}")
    return text
