# SPDX-License-Identifier: GPL-3.0-or-later
"""What module and action plugin file_set share: the arguments, the wire format, and the work on the file system.

Private to the collection. The work is done in two steps: `plan` only reads, and raises one error that names everything
that is wrong; `apply` carries out what was planned. So nothing is changed on a host where something cannot be done,
and check mode is only the first step.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import re
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Sequence

from ansible_collections.baremetal.synapse.plugins.module_utils._regular_files import read_regular, set_attributes

_WIRE_PREFIX = "file_set:"
_MODE = re.compile(r"[0-7]{4,5}\Z")
_PARENT_MODE = 0o755

OWNERSHIP: dict[str, Any] = {
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}

ONLY: dict[str, Any] = {"only": {"type": "str", "choices": ["render"]}}

ARGUMENT_SPEC: dict[str, Any] = {
    "for_each": {"type": "list", "elements": "dict"},
    "remove_if_none": {"type": "bool", "default": False},
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
            **OWNERSHIP,
        },
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "mutually_exclusive": [("content", "source", "template")],
        "required_one_of": [("content", "source", "template")],
        "options": {
            "path": {"type": "path", "required": True},
            # no_log keeps contents out of the invocation that ansible prints and of the host's journal
            "content": {"type": "str", "no_log": True},
            "source": {"type": "str"},
            "template": {"type": "str"},
            "vars": {"type": "dict"},
            "mode": {"type": "str", "default": "0644"},
            "sensitive": {"type": "bool", "default": False},
            **OWNERSHIP,
            **ONLY,
        },
    },
    "links": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "target": {"type": "str", "required": True},
            **ONLY,
        },
    },
    "purge": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "directory": {"type": "path", "required": True},
            "pattern": {"type": "str", "required": True},
            "keep": {"type": "list", "elements": "str", "default": []},
        },
    },
}


class FileSetError(Exception):
    """Everything that keeps the files from being as wanted, one problem a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def encode(content: str) -> str:
    """Pack a content for the way to the host.

    Ansible hides values marked no_log wherever they occur in a result, also in a diff. What travels as the marked value
    is therefore this form of it: contents stay out of logs, and the module can still show the diff of a plain file.
    """
    return _WIRE_PREFIX + base64.b64encode(zlib.compress(content.encode(), 6)).decode()


def decode(wire: str) -> bytes:
    """Unpack what `encode` packed."""
    if not wire.startswith(_WIRE_PREFIX):
        raise ValueError("a content did not pass the action plugin baremetal.synapse.file_set")
    return zlib.decompress(base64.b64decode(wire[len(_WIRE_PREFIX) :]))


def malformed(path: str, mode: str | None = None) -> str:
    """What is wrong with the form of a path or mode; empty if nothing is."""
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        return f"{path!r} is not an absolute, plain path: write it without '..', '//' and a '/' at the end"
    if mode is not None and not _MODE.match(mode):
        return f'{path}: mode {mode!r} is not four or five octal digits in quotes, such as "0644"'
    return ""


@dataclass(frozen=True)
class Change:
    """One thing to do on the host."""

    path: str
    diff: dict[str, str]
    act: Callable[[], None]
    removed: bool = False
    attributes_only: bool = False


@dataclass
class _Planner:
    check_mode: bool
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Paths that exist once the changes planned so far are made
    made: dict[str, str] = field(default_factory=dict)

    # -- what is wanted ------------------------------------------------------------------------------------------------

    def directory(self, path: str, mode: str, owner: str, group: str) -> None:
        if not self._valid(path, mode) or not self._free(path, "directory"):
            return
        wanted = self._attributes(path, mode, owner, group)
        if wanted is None:
            return
        found = _lstat(path)
        if found is None:
            if not self._make_parents(path):
                return

            def create() -> None:
                os.mkdir(path, 0o700)
                wanted.apply(path, stat.S_IFDIR)

            self.changes.append(Change(path, _note(f"+ directory {path} ({wanted})\n"), create))
        elif stat.S_ISLNK(found.st_mode):
            self.problems.append(f"{path} is a symbolic link: name the directory that it points to")
        elif not stat.S_ISDIR(found.st_mode):
            self.problems.append(f"{path} is a {_kind(found)}, a directory is wanted: remove or rename it")
        else:
            self._fix_attributes(path, wanted, found)

    def file(self, entry: dict[str, Any]) -> None:
        path, mode, content = entry["path"], entry["mode"], decode(entry["content"])
        if not self._valid(path, mode) or not self._free(path, "file"):
            return
        wanted = self._attributes(path, mode, entry["owner"], entry["group"])
        if wanted is None:
            return
        found = _lstat(path)
        if found is not None and not stat.S_ISREG(found.st_mode):
            self.problems.append(f"{path} is a {_kind(found)}, a regular file is wanted: remove or rename it")
            return
        before = None if found is None else read_regular(path)
        if found is not None and before == content:
            self._fix_attributes(path, wanted, found)
            return
        if found is None and not self._parent_exists(path):
            return
        diff = (
            _note(f"{'+' if before is None else '~'} secret content of {path}\n")
            if entry["sensitive"]
            else {
                "before_header": path,
                "after_header": path,
                "before": "" if before is None else _text(before),
                "after": _text(content),
            }
        )
        self.changes.append(Change(path, diff, lambda: _write(path, content, wanted)))

    def link(self, path: str, target: str) -> None:
        if not self._valid(path) or not self._free(path, "link"):
            return
        found = _lstat(path)
        if found is not None and not stat.S_ISLNK(found.st_mode):
            self.problems.append(f"{path} is a {_kind(found)}, a symbolic link is wanted: remove or rename it")
            return
        before = os.readlink(path) if found is not None else ""
        if before == target or (found is None and not self._parent_exists(path)):
            return

        def relink() -> None:
            temporary = _temporary(path)
            os.symlink(target, temporary)
            os.rename(temporary, path)

        diff = {"before_header": path, "after_header": path, "before": _line(before), "after": _line(target)}
        self.changes.append(Change(path, diff, relink))

    def purge(self, directory: str, pattern: str, keep: Sequence[str]) -> None:
        if os.path.isabs(pattern) or ".." in Path(pattern).parts:
            self.problems.append(
                f"purge: pattern {pattern!r} leads out of {directory}: give one that is relative to it"
            )
            return
        kept = {os.path.join(directory, name) for name in keep} | set(self.made)
        for path in sorted(str(found) for found in Path(directory).glob(pattern)):
            if path in kept or os.path.basename(path).startswith(".") or stat.S_ISDIR(os.lstat(path).st_mode):
                continue
            # What a removed file held may be a secret of the operator's: it is not shown.
            self.changes.append(Change(path, _note(f"- {path}\n"), _remover(path, directory), removed=True))

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _valid(self, path: str, mode: str | None = None) -> bool:
        problem = malformed(path, mode)
        if problem:
            self.problems.append(problem)
        return not problem

    def _free(self, path: str, kind: str) -> bool:
        if path in self.made:
            self.problems.append(f"{path} is given twice, as a {self.made[path]} and as a {kind}: remove one of them")
            return False
        self.made[path] = kind
        return True

    def _make_parents(self, path: str) -> bool:
        """Plan the directories above `path` that are missing."""
        missing: list[str] = []
        child, parent = path, os.path.dirname(path)
        while self.made.get(parent) != "directory" and not os.path.isdir(parent):
            found = _lstat(parent)
            if found is not None or parent in self.made:
                kind = self.made[parent] if found is None else _kind(found)
                self.problems.append(f"{parent}, in which {child} belongs, is a {kind}: remove or rename it")
                return False
            missing.insert(0, parent)
            child, parent = parent, os.path.dirname(parent)
        for parent in missing:
            self.made[parent] = "directory"
            self.changes.append(Change(parent, _note(f"+ directory {parent}\n"), _parent_maker(parent)))
        return True

    def _parent_exists(self, path: str) -> bool:
        parent = os.path.dirname(path)
        if self.made.get(parent) == "directory" or os.path.isdir(parent):
            return True
        if self.check_mode:
            # An earlier task of the run would have made it.
            return True
        self.problems.append(
            f"{parent}, in which {path} belongs, is no directory: list it in directories, before its contents"
        )
        return False

    def _attributes(self, path: str, mode: str, owner: str, group: str) -> _Attributes | None:
        try:
            uid: int | None = pwd.getpwnam(owner).pw_uid
        except KeyError:
            uid = None
        try:
            gid: int | None = grp.getgrnam(group).gr_gid
        except KeyError:
            gid = None
        # In check mode, an earlier task of the run would have made user and group.
        if not self.check_mode:
            unknown = [f"owner {owner!r}"] * (uid is None) + [f"group {group!r}"] * (gid is None)
            if unknown:
                self.problems.append(f"{path}: this host has no {' and no '.join(unknown)}")
                return None
        return _Attributes(mode, owner, group, uid, gid)

    def _fix_attributes(self, path: str, wanted: _Attributes, found: os.stat_result) -> None:
        if wanted.hold(found):
            return
        diff = {
            "before_header": f"{path} (attributes)",
            "after_header": f"{path} (attributes)",
            "before": f"{_Attributes.of(found)}\n",
            "after": f"{wanted}\n",
        }
        self.changes.append(
            Change(path, diff, lambda: wanted.apply(path, stat.S_IFMT(found.st_mode)), attributes_only=True)
        )


@dataclass(frozen=True)
class _Attributes:
    mode: str
    owner: str
    group: str
    uid: int | None
    gid: int | None

    @classmethod
    def of(cls, found: os.stat_result) -> _Attributes:
        try:
            owner = pwd.getpwuid(found.st_uid).pw_name
        except KeyError:
            owner = str(found.st_uid)
        try:
            group = grp.getgrgid(found.st_gid).gr_name
        except KeyError:
            group = str(found.st_gid)
        return cls(f"{stat.S_IMODE(found.st_mode):04o}", owner, group, found.st_uid, found.st_gid)

    def hold(self, found: os.stat_result) -> bool:
        return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (self.uid, self.gid, int(self.mode, 8))

    def apply(self, path: str, kind: int) -> None:
        if self.uid is None or self.gid is None:
            raise AssertionError("only check mode plans without owner and group, and it applies nothing")
        set_attributes(path, kind, int(self.mode, 8), self.uid, self.gid)

    def __str__(self) -> str:
        return f"mode {int(self.mode, 8):04o}, owner {self.owner}, group {self.group}"


def plan(params: dict[str, Any], check_mode: bool) -> list[Change]:
    """What has to be done on this host; raises FileSetError when it cannot be done. Changes nothing."""
    planner = _Planner(check_mode)
    # Parents first: a missing one that is not listed is made for its first child.
    for directory in sorted(params["directories"], key=lambda wanted: str(wanted["path"]).count("/")):
        planner.directory(directory["path"], directory["mode"], directory["owner"], directory["group"])
    for file in params["files"]:
        planner.file(file)
    for link in params["links"]:
        planner.link(link["path"], link["target"])
    for purge in params["purge"]:
        planner.purge(purge["directory"], purge["pattern"], purge["keep"])
    if planner.problems:
        raise FileSetError(planner.problems)
    return planner.changes


def apply(changes: Sequence[Change]) -> None:
    """Carry out what was planned, in order."""
    for change in changes:
        try:
            change.act()
        except OSError as exc:
            raise FileSetError([f"{change.path}: {exc.strerror}"]) from exc


def report(changes: Sequence[Change]) -> dict[str, list[str]]:
    """The paths of the changes by their kind, as the module returns them."""
    return {
        "changed_paths": [change.path for change in changes if not change.removed],
        "rewritten_paths": [change.path for change in changes if not change.removed and not change.attributes_only],
        "removed_paths": [change.path for change in changes if change.removed],
    }


def _parent_maker(path: str) -> Callable[[], None]:
    def create() -> None:
        os.mkdir(path, 0o700)
        # Neither the umask nor a parent's set-gid bit decides.
        set_attributes(path, stat.S_IFDIR, _PARENT_MODE, os.geteuid(), os.getegid())

    return create


def _write(path: str, content: bytes, wanted: _Attributes) -> None:
    """Replace the file in one step: whoever reads it sees the old content or the new one, whole."""
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    wanted.apply(temporary, stat.S_IFREG)
    os.rename(temporary, path)


def _temporary(path: str) -> str:
    """A free name beside `path`; always the same one, so that runs which were cut off leave no heap of files."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.new")
    if _lstat(temporary) is not None:
        os.unlink(temporary)
    return temporary


def _remover(path: str, top: str) -> Callable[[], None]:
    def remove() -> None:
        os.unlink(path)
        parent = os.path.dirname(path)
        # Directories between the pattern's base and the file go with their last file.
        while parent != top and not os.listdir(parent):
            os.rmdir(parent)
            parent = os.path.dirname(parent)

    return remove


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kind(found: os.stat_result) -> str:
    for test, name in ((stat.S_ISDIR, "directory"), (stat.S_ISLNK, "symbolic link"), (stat.S_ISREG, "regular file")):
        if test(found.st_mode):
            return name
    return "special file"


def _note(text: str) -> dict[str, str]:
    return {"prepared": text}


def _line(text: str) -> str:
    return f"{text}\n" if text else ""


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "(binary content)\n"


__all__ = ("ARGUMENT_SPEC", "Change", "FileSetError", "apply", "decode", "encode", "malformed", "plan", "report")
