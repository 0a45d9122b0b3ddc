# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of raw paths, as in routes.json: ``{name}`` is one segment, ``{name:regex}`` what the regex matches.

Private to the collection. Used by the model on the controller and by the audit on the hosts.
"""

from __future__ import annotations

import re
from typing import List, Mapping, Optional, Tuple

_VARIABLE_PART = re.compile(r"\{(?P<name>\w*)(?::(?P<regex>(?:[^{}]|\{[^{}]*\})*))?\}")
_SEGMENT = "[^/]*"


def regex_of(path: str) -> str:
    """Returns the regular expression of a template, for the whole raw path, without anchors."""
    parts = []
    end = 0
    for match in _VARIABLE_PART.finditer(path):
        parts.append(_escape(path[end : match.start()]))
        regex = match["regex"]
        parts.append(_SEGMENT if regex is None else regex if _is_one_piece(regex) else f"(?:{regex})")
        end = match.end()
    return "".join([*parts, _escape(path[end:])])


def variable_parts(path: str) -> List[Tuple[str, str]]:
    """Returns name and regular expression of each variable part of a template."""
    return [(match["name"], match["regex"] or _SEGMENT) for match in _VARIABLE_PART.finditer(path)]


def without_variable_parts(path: str) -> str:
    """Returns the template with ``*`` for each variable part."""
    return _VARIABLE_PART.sub("*", path)


def sample(path: str, values: Optional[Mapping[str, str]] = None) -> str:
    """Returns a raw path that a template matches.

    Args:
        path: the template.
        values: what to write for the parts of these names, if it fits; a word of ours for the others.
    """
    return _VARIABLE_PART.sub(lambda match: _word(match["name"], match["regex"] or _SEGMENT, values or {}), path)


def _word(name: str, regex: str, values: Mapping[str, str]) -> str:
    alternatives = re.sub(r"[\\()?:^$]", "", regex).split("|")
    # What follows a pattern without an end is a further segment, if anything.
    own = "/x" if name == "rest" else name or "x"
    candidates = (values.get(name, ""), own, "/x", *alternatives, "x", "1")
    return next((word for word in candidates if word and re.fullmatch(regex, word)), "")


def _escape(literal: str) -> str:
    return re.sub(r"([.+$])", r"\\\1", literal)


def _is_one_piece(regex: str) -> bool:
    """Returns whether a regex needs no group of its own inside a longer one."""
    return "|" not in regex or re.fullmatch(r"\(\?:[^()]*\)\??", regex) is not None


__all__ = ("regex_of", "sample", "variable_parts", "without_variable_parts")
