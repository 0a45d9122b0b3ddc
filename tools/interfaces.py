# SPDX-License-Identifier: GPL-3.0-or-later
"""What the schema of inputs says, as the files of roles say it: argument specs, defaults, and the tables of READMEs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import TOPOLOGY, Input

_WIDTH = 120
_MARKUP = re.compile(r"(?:C|V|O|M|P)\(([^()#]*)(?:#[a-z]+)?\)")
_OPTIONS = re.compile(r"    options:( &options)?( \{\})?")
_ENTRY = re.compile(r"  ([a-z_]+):")


def role_files(root: Path) -> dict[str, str]:
    """Returns the files of roles that have something generated, as they are to be, by their paths in the checkout."""
    found = {}
    for role in sorted(path.name for path in (root / "roles").iterdir() if path.is_dir()):
        own = [entry for entry in INPUTS.values() if entry.role == role]
        specs = f"roles/{role}/meta/argument_specs.yml"
        found[specs] = argument_specs(role, (root / specs).read_text())
        if own and role != TOPOLOGY:
            readme = f"roles/{role}/README.md"
            found[readme] = with_table((root / readme).read_text(), own)
            found[f"roles/{role}/defaults/main.yml"] = defaults(own)
    return found


def argument_specs(role: str, text: str) -> str:
    """Returns the argument specs of a role with the options of the schema.

    Args:
        role: the name of the role.
        text: the file as it is; descriptions of entry points stay.
    """
    lines: list[str] = []
    entry = ""
    skipping = False
    for line in text.splitlines():
        if skipping and (line.startswith("      ") or not line.strip()):
            continue
        skipping = False
        entry = found[1] if (found := _ENTRY.fullmatch(line)) else entry
        options = _OPTIONS.fullmatch(line)
        shown = options_of(role, entry)
        if options and shown:
            lines += [f"    options:{options[1] or ''}", *shown]
            skipping = True
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def options_of(role: str, entry: str) -> list[str]:
    """Returns the lines of the options of an entry point. The role topology checks all inputs and has all of them."""
    if role == TOPOLOGY:
        shown = [one for one in INPUTS.values() if not one.internal] if entry == "main" else []
    else:
        shown = [one for one in INPUTS.values() if (one.role, one.entry) == (role, entry)]
    return [line for one in shown for line in _option(one)]


def _option(entry: Input) -> list[str]:
    described = [line for text in (entry.about, *entry.more) for line in _item(text)]
    fields: dict[str, Any] = {"type": entry.kind.type}
    if entry.kind.elements:
        fields["elements"] = entry.kind.elements
    if entry.kind.choices:
        fields["choices"] = list(entry.kind.choices)
    if entry.required:
        fields["required"] = True
    else:
        fields["default"] = entry.default
    if entry.since != "0.1.0":
        fields["version_added"] = entry.since
    return [
        f"      {entry.name}:",
        "        description:",
        *described,
        *(f"        {name}: {_scalar(value)}" for name, value in fields.items()),
    ]


def _item(text: str) -> list[str]:
    needs_quotes = yaml.safe_load(f"- {text}\n") != [text] if ": " not in text and " #" not in text else True
    written = "'" + text.replace("'", "''") + "'" if needs_quotes else text
    return textwrap.wrap(
        written,
        width=_WIDTH,
        initial_indent="          - ",
        subsequent_indent="            ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _scalar(value: Any) -> str:
    written: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return written.removesuffix("\n").removesuffix("\n...")


def defaults(entries: Iterable[Input]) -> str:
    """Returns ``defaults/main.yml`` of a role."""
    lines = ["---", "# Generated from the schema of inputs: python -m tools.docs_tables"]
    for entry in entries:
        if entry.required:
            continue
        lines += textwrap.wrap(
            plain_text(entry.about), width=_WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        lines.append(f"{entry.name}: {_scalar(entry.default)}")
    return "".join(f"{line}\n" for line in lines)


def plain_text(text: str) -> str:
    """Returns a text without the markup of Ansible's documentation."""
    return _MARKUP.sub(r"\1", text)


def markdown(text: str) -> str:
    """Returns a text with the markup of Markdown."""
    return _MARKUP.sub(lambda found: f"`{found[1]}`", text).replace("|", "\\|")


def shown_default(entry: Input) -> str:
    """Returns a default as tables show it."""
    return "required" if entry.required else "not set" if entry.default is None else f"`{_scalar(entry.default)}`"


def with_table(text: str, entries: Iterable[Input]) -> str:
    """Returns a README with the table of the role's variables between its markers."""
    rows = [
        "| variable | default | meaning |",
        "| --- | --- | --- |",
        *(
            f"| `{entry.name}` | {shown_default(entry)} | {' '.join(map(markdown, (entry.about, *entry.more)))} |"
            for entry in entries
        ),
    ]
    begin, end = "<!-- variables: generated -->\n", "<!-- end of variables -->"
    before, _begin, rest = text.partition(begin)
    _old, found, after = rest.partition(end)
    if not found:
        return text
    return before + begin + "\n".join(rows) + "\n" + end + after


__all__ = ("markdown", "plain_text", "role_files", "shown_default")
