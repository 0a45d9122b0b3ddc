#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Synapse process started with, and what of it has changed since. Also a program, which the units call.

    fingerprint record INSTANCE     note what the instance starts with
    fingerprint reloaded INSTANCE   note the inputs that a running instance has reloaded on SIGHUP

An instance is ``main`` or the name of a worker; its inputs are listed in ``fingerprint.json`` beside the program.
Private to the collection; needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Mapping, Sequence

INPUTS_FILE = "fingerprint.json"
_WHOLE = "*"
_OPTION = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][\w-]*|\"[^\"]*\"|'[^']*')\s*:(?:\s|$)")


def digest(content: str | bytes) -> str:
    """Return the hash of a content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


@lru_cache(maxsize=8)
def option_digests(text: str, nested: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the hash of each top-level option of a YAML file, by its name.

    It splits at the lines that begin an option, as YAML is written in blocks; whatever else the file holds counts to
    the option before it. So every change changes a hash, and only a name may be wrong in a file of another form.
    All processes of a host have the same file, so what was found is remembered.

    Args:
        text: the file.
        nested: options that are split once more, into ``stream_writers.events`` and so on.
    """
    blocks: dict[str, list[str]] = {}
    option, name, inner = "", "", ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        found = _OPTION.match(line)
        if found is not None and not found["indent"]:
            option = name = found["key"].strip("\"'")
            inner = ""
        elif found is not None and option in nested:
            inner = inner or found["indent"]
            if found["indent"] == inner:
                name = f"{option}.{found['key'].strip(chr(34) + chr(39))}"
        blocks.setdefault(name, []).append(line)
    return MappingProxyType({key: digest("\n".join(lines)) for key, lines in blocks.items()})


@dataclass(frozen=True)
class Instance:
    """What one process depends on.

    Attributes:
        duties: the duties that it has by this configuration.
        links: links whose targets count, not what they lead to.
        files: files, and directories whose files count, each as a whole.
        hidden: files that the process cannot read, so that they do not count.
        options: a YAML file whose options count separately, None for none.
        nested: options of it that are split once more.
        ignored: options of it that do not matter to this process.
        reloaded: paths, or ``path: option``, that a running process reloads on SIGHUP.
    """

    duties: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    options: str | None = None
    nested: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    reloaded: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Instance:
        """Read it from plain data."""
        lists = {
            key: tuple(plain.get(key, ()))
            for key in ("duties", "links", "files", "hidden", "nested", "ignored", "reloaded")
        }
        return cls(options=plain.get("options"), **lists)

    def now(self, pending: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str]:
        """Return the hashes of its inputs as they are on disk.

        Args:
            pending: files that are about to be written: for each path what ``pending_digests`` gives.
        """
        pending = pending or {}
        found = {link: os.readlink(link) for link in self.links if os.path.islink(link)}
        found.update({link: pending[link]["target"] for link in self.links if link in pending})
        for entry in self.files:
            inside = {str(path) for path in Path(entry).iterdir()} if os.path.isdir(entry) else {entry}
            inside |= {path for path in pending if path.startswith(f"{entry}/")}
            for path in sorted(inside.difference(self.hidden)):
                hashed = pending[path].get(_WHOLE) if path in pending else _file_digest(path)
                if hashed is not None:
                    found[path] = hashed
        if self.options is not None:
            found.update({f"{self.options}: {key}": value for key, value in self._options(pending).items()})
        return found

    def changed_since(
        self, started: Mapping[str, str], pending: Mapping[str, Mapping[str, str]] | None = None
    ) -> list[str]:
        """Return the inputs that differ from those of the start. A file that is hidden since then did not change.

        Args:
            started: the hashes at the start.
            pending: as of ``now``.
        """
        return changed_since(
            {key: value for key, value in started.items() if key not in self.hidden}, self.now(pending)
        )

    def _options(self, pending: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        path = str(self.options)
        if path in pending:
            found = {key: value for key, value in pending[path].items() if key != _WHOLE and "." not in key}
            for parent in self.nested:
                parts = {key: value for key, value in pending[path].items() if key.startswith(f"{parent}.")}
                found.update(parts)
                if parts:
                    found[parent] = digest(f"{parent}:")
        else:
            try:
                found = dict(option_digests(Path(path).read_text(encoding="utf-8"), self.nested))
            except FileNotFoundError:
                return {}
        return {key: value for key, value in found.items() if key.partition(".")[0] not in self.ignored}


def pending_digests(text: str) -> dict[str, str]:
    """Return the hashes of a file that is about to be written: ``*`` is the whole, the others are its options."""
    top = option_digests(text)
    return {
        _WHOLE: digest(text),
        **top,
        **{key: value for key, value in option_digests(text, tuple(top)).items() if "." in key},
    }


def _file_digest(path: str) -> str | None:
    try:
        # An operator may have linked a file, but a FIFO or a device is no input: it might never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return digest(stream.read())
    finally:
        os.close(descriptor)


def changed_since(started: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the inputs that differ, in order."""
    return sorted(key for key in {*started, *now} if started.get(key) != now.get(key))


def read_inputs(path: Path) -> tuple[Path, dict[str, Instance]]:
    """Read ``fingerprint.json``: the directory of the notes, and the instances of the host."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return Path(plain["directory"]), {name: Instance.of(entry) for name, entry in plain["instances"].items()}


def read_note(directory: Path, instance: str, read: Callable[[Path], bytes] = Path.read_bytes) -> dict[str, Any] | None:
    """Return what was noted when the instance started: ``duties`` and ``inputs``; None if unknown.

    Args:
        directory: where the notes are.
        instance: the name of the instance.
        read: how to read the note. The directory belongs to Synapse's user, so root has to take care.
    """
    try:
        note = json.loads(read(Path(directory, instance)))
        return {"duties": list(note["duties"]), "inputs": dict(note["inputs"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_note(directory: Path, name: str, note: Mapping[str, Any]) -> None:
    """Note it, in one step."""
    draft = directory / f".{name}.new"
    draft.write_text(json.dumps(note, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(directory / name)


def main(arguments: Sequence[str]) -> int:
    """Run the program."""
    action, name = arguments
    directory, instances = read_inputs(Path(__file__).resolve().with_name(INPUTS_FILE))
    instance = instances[name]
    now = instance.now()
    if action == "record":
        write_note(directory, name, {"duties": instance.duties, "inputs": now})
        return 0
    note = read_note(directory, name)
    if action == "reloaded" and note is not None:
        kept = {key: value for key, value in note["inputs"].items() if key not in instance.reloaded}
        read_anew = {key: value for key, value in now.items() if key in instance.reloaded}
        write_note(directory, name, {"duties": note["duties"], "inputs": {**kept, **read_anew}})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
