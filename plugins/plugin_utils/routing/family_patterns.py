# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of raw paths for nginx, computed from the table of path families."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import FAMILIES, Access

REFUSED = "refused"
"""The family of what nginx refuses."""

OTHERS = "others"
"""The family of public paths that only main serves, or nginx itself."""

_END = r"(?=\?|$)"
# A segment '.' or '..', however it is written, would let nginx and Synapse see different paths; so would a '#'.
_DOT_SEGMENT = r"[^?]*(?:(?:/|%2[fF])(?:\.|%2[eE]){1,2}(?:(?:/|%2[fF])[^?]*)?(?=\?|$)|#[^?]*)"


def family_patterns() -> list[tuple[str, str, str | None]]:
    """Returns pattern, family and comment for the map of raw paths, in the order in which nginx tries them.

    All of them note the raw path, without the query, which may hold a token.
    """
    patterns: dict[str, tuple[str, str, str | None]] = {}
    for family in FAMILIES:
        if family.reader is not None and family.by_word:
            version = f"(?:{_one_of(*family.versions)}/)?" if family.versions else ""
            pattern = f"{family.path}{version}(?<synapse_word>[^/?]+)[^?]*"
            patterns[family.path] = pattern, f"{family.name}/$synapse_word", None
        elif family.reader is not None:
            patterns[family.parent] = _whole_families(family.parent), "$synapse_word", None
    return [
        (_DOT_SEGMENT, REFUSED, "walks out of a public path"),
        *patterns.values(),
        (_main_paths(), OTHERS, None),
        ("[^?]*", REFUSED, "not public"),
    ]


def _whole_families(parent: str) -> str:
    """Returns the pattern of the families in a folder that have one table each."""
    families = [family for family in FAMILIES if family.parent == parent and family.reader and not family.by_word]
    words = "|".join(family.name for family in families)
    if all(family.is_folder for family in families):
        return f"{parent}(?<synapse_word>{words})/[^?]*"
    ends = "|".join(f"{family.name}{'(?=/)' if family.is_folder else _END}" for family in families)
    return f"{parent}(?<synapse_word>{ends})[^?]*"


def _main_paths() -> str:
    """Returns the pattern of the public paths that only main serves, or nginx itself: the root, and some folders."""
    public = [family for family in FAMILIES if family.access is not Access.CLOSED and family.word]
    only_main = [family for family in public if family.reader is None or family.bare]
    of_folder: dict[str, list[str]] = {}
    for family in only_main:
        of_folder.setdefault(family.parent.lstrip("/"), []).append(family.word.replace(".", r"\."))
    words = "|".join(f"{folder}{_one_of(*words)}" for folder, words in of_folder.items())
    return rf"/(?:(?:{words})(?=/|\?|$)[^?]*)?{_END}"


def _one_of(*patterns: str) -> str:
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"


__all__ = ("OTHERS", "REFUSED", "family_patterns")
