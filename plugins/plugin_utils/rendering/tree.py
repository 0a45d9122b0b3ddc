# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory on the controller with the files that hosts would get: ``DIR/<host>/<path on the host>``.

``DIR/.rendered/<host>`` lists what was written for a host, one path a line, directories with a slash at the end.
Nothing that is not listed there is ever replaced or removed. Which of it a run still wants is known only at its end, so
every task notes what it wants in a scratch directory of the run, and ``close`` removes the rest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import Change, FileSetError, malformed

MANIFESTS = ".rendered"
README = "README"
PICTURE = "fleet.svg"
README_TEXT = """\
Written by playbooks/render.yml of the Ansible collection baremetal.synapse: below the name of each host, the files that
site.yml deploys to it. fleet.svg shows the fleet. The next run of render.yml replaces what is here.

Nothing below etc/matrix-synapse/secrets is a secret: these files, and the password in Redis' configuration, are
placeholders, which are public. Each host makes its own secrets. Do not copy the placeholders to a host.
"""

_KINDS = ("directory", "regular file", "symbolic link")
_PARENT_MODE = 0o755
_PRIVATE = 0o700
_SECRET_MODE = 0o600
# The number of leading characters that identify our files at the top.
_RECOGNISED = 80


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One thing that a host would have.

    Attributes:
        path: its path on the host.
        content: what the file holds; None for a directory or a link.
        target: what the link holds; None for a directory or a file.
        mode: permissions on the host, in octal digits.
        sensitive: only its owner may read it, and no diff shows it.
    """

    path: str
    content: bytes | None = None
    target: str | None = None
    mode: str = "0755"
    sensitive: bool = False

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.content is not None:
            return "regular file"
        return "directory" if self.target is None else "symbolic link"

    @property
    def permissions(self) -> int:
        """Those on the controller: whoever renders can read it all, and no set-id bits."""
        if self.sensitive:
            return _SECRET_MODE
        return int(self.mode, 8) & 0o777 | (_PRIVATE if self.kind == "directory" else 0o400)


def check_root(value: object, hosts: Collection[str]) -> Path:
    """Returns the directory to render to.

    Raises:
        FileSetError: it cannot be, or is not ours.
    """
    if not isinstance(value, str) or not value.strip():
        raise FileSetError(
            [
                f"render_to is {value or 'not set'}: it has to name the directory to render to. Give one that is"
                " empty or does not exist yet, such as -e render_to=rendered."
            ]
        )
    root = Path(os.path.abspath(os.path.expanduser(value)))
    found = next(path for path in (root, *root.parents) if os.path.lexists(path))
    reason = ""
    if not found.is_dir():
        reason = f"{found} is no directory"
    elif found == root and any(root.iterdir()) and not (root / MANIFESTS).is_dir():
        reason = "this directory has files that render.yml did not write, and it would not touch them"
    elif not os.access(found, os.W_OK | os.X_OK):
        reason = f"you must not write in {found}"
    if reason:
        raise FileSetError([f"render_to is {value}: {reason}. Give a directory that is empty or does not exist yet."])
    _check_ours(value, root)
    # Nothing below is looked at before it is known to be ours.
    _check_ours(value, root / MANIFESTS)
    for host in hosts:
        if "/" in host or host.startswith(".") or host in (README, PICTURE):
            raise FileSetError(
                [f"The host {host!r} cannot be rendered: that is no name of a directory. Rename it in the inventory."]
            )
    # What is left of hosts that are no more is removed, so their directories count as well.
    for host in sorted({*hosts, *_names(root / MANIFESTS)}):
        _check_ours(value, root / host)
    return root


def _check_ours(value: str, path: Path) -> None:
    """Refuses what another user may have put there, to have files written or removed elsewhere.

    Raises:
        FileSetError: it is a symbolic link, or belongs to another user.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        reason = f"{path} is a symbolic link, which may lead to files that render.yml did not write"
    elif found.st_uid != os.geteuid():
        reason = f"{path} belongs to another user, who could redirect render.yml to other files"
    else:
        return
    raise FileSetError(
        [f"render_to is {value}: {reason}. Give a directory of your own that is empty or does not exist yet."]
    )


class Rendered:
    """What is rendered for one host."""

    def __init__(self, directory: Path, scratch: Path) -> None:
        """Reads what was written before.

        Args:
            directory: ``DIR/<host>``.
            scratch: a directory that lives as long as the run.
        """
        self.directory = directory
        self._manifest = directory.parent / MANIFESTS / directory.name
        self._notes = _notes(scratch, directory.parent) / directory.name
        self.known = _lines(self._manifest)
        self.wanted = _lines(self._notes)

    # -- one task ------------------------------------------------------------------------------------------------------

    def plan(self, wanted: Sequence[Wanted]) -> list[Change]:
        """Returns what has to be done, and notes what is wanted. Changes nothing in the tree.

        Raises:
            FileSetError: with everything that is wrong.
        """
        problems: list[str] = []
        planned: dict[str, Change | None] = {}
        kinds = _kinds(wanted)
        for thing in sorted(wanted, key=lambda one: (_KINDS.index(one.kind), one.path.count("/"))):
            try:
                if problem := malformed(thing.path, thing.mode):
                    raise FileSetError([problem])
                if len(kinds[thing.path]) > 1:
                    raise FileSetError([f"{thing.path} is given twice: remove one of them"])
                for parent in _parents(thing.path):
                    if parent not in planned:
                        planned[parent] = self._directory(parent, _PARENT_MODE, listed=False)
                planned[thing.path] = self._one(thing)
            except FileSetError as exc:
                problems += exc.problems
        if problems:
            raise FileSetError(list(dict.fromkeys(problems)))
        self.wanted |= {path.lstrip("/") + ("/" if "directory" in kinds[path] else "") for path in planned}
        _write(self._notes, _text(self.wanted), _SECRET_MODE)
        return [change for change in planned.values() if change is not None]

    def apply(self, changes: Sequence[Change]) -> None:
        """Carries out what was planned."""
        made = {change.path.lstrip("/") for change in changes if not change.attributes_only}
        # Listed first: what is written and not listed would never be removed.
        self._list(self.known | {name for name in self.wanted if name.rstrip("/") in made})
        _make_private(self.directory)
        for change in changes:
            try:
                change.act()
            except OSError as exc:
                raise FileSetError([f"{self._real(change.path)}: {exc.strerror}"]) from exc

    def _real(self, path: str) -> Path:
        return self.directory / path.lstrip("/")

    def _one(self, thing: Wanted) -> Change | None:
        if thing.content is not None:
            return self._file(thing, thing.content)
        if thing.target is not None:
            return self._link(thing.path, thing.target)
        return self._directory(thing.path, thing.permissions, listed=True)

    def _found(self, path: str, kind: str) -> os.stat_result | None:
        """Returns what is there, if it is of the kind that is wanted."""
        real = self._real(path)
        try:
            found = os.lstat(real)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            # Its parent is planned again, or is a problem of its own.
            return None
        test = {"directory": stat.S_ISDIR, "regular file": stat.S_ISREG, "symbolic link": stat.S_ISLNK}[kind]
        if not test(found.st_mode):
            raise FileSetError([f"{real} is no {kind}, which is wanted there: remove or rename it"])
        if kind != "directory" and path.lstrip("/") not in self.known:
            raise FileSetError([f"{real} was not written by render.yml: remove or rename it"])
        return found

    def _directory(self, path: str, mode: int, *, listed: bool) -> Change | None:
        real = self._real(path)
        found = self._found(path, "directory")
        if found is None:

            def create() -> None:
                os.mkdir(real, _PRIVATE)
                os.chmod(real, mode)

            return Change(path, {"prepared": f"+ directory {path}\n"}, create)
        ours = listed and f"{path.lstrip('/')}/" in self.known
        return self._mode_change(path, found, mode) if ours else None

    def _file(self, thing: Wanted, content: bytes) -> Change | None:
        real = self._real(thing.path)
        found = self._found(thing.path, "regular file")
        before = None if found is None else real.read_bytes()
        if found is not None and before == content:
            return self._mode_change(thing.path, found, thing.permissions)
        diff = (
            {"prepared": f"{'+' if before is None else '~'} secret content of {thing.path}\n"}
            if thing.sensitive
            else {
                "before_header": thing.path,
                "after_header": thing.path,
                "before": "" if before is None else before.decode(errors="replace"),
                "after": content.decode(errors="replace"),
            }
        )
        return Change(thing.path, diff, lambda: _write(real, content, thing.permissions))

    def _link(self, path: str, target: str) -> Change | None:
        real = self._real(path)
        found = self._found(path, "symbolic link")
        before = "" if found is None else os.readlink(real)
        if before == target:
            return None

        def relink() -> None:
            real.unlink(missing_ok=True)
            real.symlink_to(target)

        after = f"{target}\n"
        diff = {"before_header": path, "after_header": path, "before": f"{before}\n" if before else "", "after": after}
        return Change(path, diff, relink)

    def _mode_change(self, path: str, found: os.stat_result, mode: int) -> Change | None:
        before = stat.S_IMODE(found.st_mode)
        if before == mode:
            return None
        header = f"{path} (attributes)"
        diff = {"before_header": header, "after_header": header, "before": f"{before:04o}\n", "after": f"{mode:04o}\n"}
        return Change(path, diff, lambda: os.chmod(self._real(path), mode), attributes_only=True)

    # -- the end of a run ----------------------------------------------------------------------------------------------

    def plan_removals(self) -> list[Change]:
        """Returns what was written once and is not wanted any more, children first."""
        stale = sorted(self.known - self.wanted, key=lambda name: (name.endswith("/"), -name.count("/"), name))
        return [self._removal(name) for name in stale]

    def _removal(self, name: str) -> Change:
        shown = f"{self.directory.name}:/{name}"
        return Change(shown, {"prepared": f"- {shown}\n"}, lambda: self._remove(name), removed=True)

    def apply_removals(self, changes: Sequence[Change]) -> None:
        """Removes what was planned, and forgets it."""
        for change in changes:
            try:
                change.act()
            except OSError as exc:
                raise FileSetError([f"{change.path}: {exc.strerror}"]) from exc
        self._list(self.known & self.wanted)
        if not self.known and self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _remove(self, name: str) -> None:
        real = self.directory / name
        # A link in the place of a directory leads out of the tree.
        if any(parent.is_symlink() for parent in real.parents if self.directory in parent.parents):
            return
        try:
            if name.endswith("/"):
                real.rmdir()
            else:
                real.unlink()
        except FileNotFoundError:
            pass
        except OSError as exc:
            # Files of other programs stay.
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
                raise

    def _list(self, names: set[str]) -> None:
        if names == self.known:
            return
        if names:
            _make_private(self._manifest.parent)
            _write(self._manifest, _text(names), _SECRET_MODE)
        else:
            self._manifest.unlink(missing_ok=True)
        self.known = set(names)


def came_to(root: Path, scratch: Path) -> set[str]:
    """Returns the hosts for which this run has rendered something.

    Args:
        root: the directory to render to.
        scratch: a directory that lives as long as the run.
    """
    return _names(_notes(scratch, root))


def close(root: Path, scratch: Path, hosts: Iterable[str]) -> list[tuple[Rendered, list[Change]]]:
    """Returns what goes at the end of a run: what its hosts do not want any more, and all of hosts that have left.

    Args:
        root: the directory to render to.
        scratch: a directory that lives as long as the run.
        hosts: every host of the fleet; those that the run did not come to keep what they have.
    """
    rendered = came_to(root, scratch)
    left = _names(root / MANIFESTS) - set(hosts)
    trees = [Rendered(root / host, scratch) for host in sorted(rendered | left)]
    return [(tree, tree.plan_removals()) for tree in trees]


def plan_top(root: Path, texts: Mapping[str, str]) -> list[Change]:
    """Returns the changes that put files beside the hosts' directories; what does not begin like them stays.

    Args:
        root: the directory to render to.
        texts: what each of them holds, by its name.
    """
    changes = []
    for name, text in texts.items():
        path = root / name
        before = path.read_text(errors="replace") if path.is_file() else ""
        if before != text and (before[:_RECOGNISED] == text[:_RECOGNISED] or not os.path.lexists(path)):
            diff = {"before_header": name, "after_header": name, "before": before, "after": text}
            changes.append(Change(name, diff, partial(_write, path, text.encode(), 0o644)))
    return changes


def _parents(path: str) -> list[str]:
    """Returns the directories above a path, the root's children first."""
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: number + 1]) for number in range(len(parts))]


def _kinds(wanted: Sequence[Wanted]) -> dict[str, list[str]]:
    """Returns what each path is, also those above; more than one kind if it is given twice."""
    kinds: dict[str, list[str]] = {}
    for thing in wanted:
        kinds.setdefault(thing.path, []).append(thing.kind)
    for thing in wanted:
        for parent in _parents(thing.path):
            if "directory" not in kinds.setdefault(parent, []):
                kinds[parent].append("directory")
    return kinds


def _notes(scratch: Path, root: Path) -> Path:
    return scratch / f"render-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}"


def _names(directory: Path) -> set[str]:
    # Names that begin with a dot are those of files that a run which was cut off did not finish.
    return {path.name for path in directory.glob("[!.]*")} if directory.is_dir() else set()


def _lines(path: Path) -> set[str]:
    try:
        return set(path.read_text().splitlines())
    except FileNotFoundError:
        return set()


def _text(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in sorted(names)).encode()


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replaces a file in one step, so that a run that was cut off leaves no half of it."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        descriptor = _create(temporary)
    except FileExistsError:
        temporary.unlink()
        descriptor = _create(temporary)
    except FileNotFoundError:
        path.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        descriptor = _create(temporary)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(descriptor, mode)
    os.rename(temporary, path)
