#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts nginx's configuration into its places, after a test in a copy, and makes nginx load it.

    nginx-config plan                 print what apply would do
    nginx-config test                 test the drafts in a copy; change nothing
    nginx-config apply [PROCESS]...   put the drafts into their places, make nginx load them, and print what was done;
                                      these processes are held back, because they are about to restart
    nginx-config hold PROCESS...      hold these processes back, and change nothing else
    nginx-config record               note what nginx has loaded; nginx.service calls this at each start and reload

nginx sends no requests to a process that is held back, unless it is the only one that can answer them.

The stamp is the note of what nginx has loaded. It is removed before anything is changed, and nginx.service writes it
again when nginx loads the change. After a run that was killed in between there is no stamp, and the next run reloads
nginx.

Needs nothing but Python, and reads the JSON file beside it, see `Settings`. nginx.service waits for it, so modules that
take long to import (dataclasses, tempfile) are not used.
"""

import grp
import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

UNIT = "nginx.service"
LOAD_SECONDS = 30.0
LOOK_SECONDS = 0.1
# As the template http.conf.j2 prints it: address and options, then the name of the process. `alone` marks the only
# process of an upstream that has no fallback.
SERVER = re.compile(rb"^(?P<server>  server [^;\n]*?)(?: down)?;(?P<comment> # (?P<process>\S+)(?: alone)?)$", re.M)
ALONE = b" alone"
WORKER_CONNECTIONS = re.compile(rb"^([ \t]*worker_connections[ \t]+)([0-9]+);", re.M)
START, RESTART, RELOAD = "start nginx", "restart nginx", "reload nginx"
DAEMON_RELOAD = "make systemd read nginx's unit again"
# As Debian's logrotate makes logs.
LOG_MODE, LOG_OWNER, LOG_GROUP = 0o640, "www-data", "adm"
USAGE = "usage: nginx-config plan|test|apply|hold|record [PROCESS]..."


class RefusedError(Exception):
    """The configuration cannot be used; the text has the reason, and the configuration in force."""


class Settings(NamedTuple):
    """The contents of the JSON file.

    Attributes:
        nginx: path of nginx's program.
        etc: directory of nginx's configuration.
        drafts: directory of the drafts, `main.conf` and so on.
        places: `name` (`main`, `http`, `site`) of each draft, and the `path` below `etc` from which nginx reads it.
        links: `path` and `target` of the links that enable the site.
        disabled: links that must not exist.
        alone: nginx serves no other sites.
        worker_connections: the number in `nginx.conf`, or the least one if nginx serves other sites.
        certificates: certificate and key. nginx has to load them again when they change.
        stamp: where the note is of what nginx has loaded.
        drop_in: path of the drop-in of nginx's unit that calls `record`.
        error_log: where nginx logs why it does not load a configuration.
        logs: the logs of our sites, which are not for all users.
    """

    nginx: str
    etc: str
    drafts: str
    places: Sequence[Mapping[str, str]]
    links: Sequence[Mapping[str, str]]
    disabled: Sequence[str]
    alone: bool
    worker_connections: int
    certificates: Sequence[str]
    stamp: str
    drop_in: str
    error_log: str
    logs: Sequence[str]


class File(NamedTuple):
    """A file, with the owner it has to get; None for the user that runs the program."""

    content: bytes
    mode: int = 0o644
    owner: tuple[int, int] | None = None


class Link(NamedTuple):
    """A symbolic link."""

    target: str


class Change(NamedTuple):
    """What a path has to become; None if it has to go.

    Attributes:
        path: absolute, below `Settings.etc`.
        wanted: the new contents.
        text: the line that reports it.
    """

    path: str
    wanted: File | Link | None
    text: str = ""


class Unit(NamedTuple):
    """nginx's unit.

    Attributes:
        active: it runs.
        main_pid: its main process; 0 if it does not run.
        needs_daemon_reload: systemd has not read the unit's files since they changed.
        drop_ins: the drop-ins that systemd knows.
    """

    active: bool
    main_pid: int
    needs_daemon_reload: bool
    drop_ins: Sequence[str]


class System:
    """nginx and systemd of this host.

    Args:
        nginx: path of nginx's program.
    """

    def __init__(self, nginx: str) -> None:
        self._nginx = nginx

    def installed(self) -> bool:
        """Returns whether there is an nginx."""
        return os.access(self._nginx, os.X_OK)

    def refusal(self, path: str) -> str | None:
        """Returns why nginx refuses a configuration, None if it would load it.

        Args:
            path: an `nginx.conf`. Relative paths in it begin at its directory.
        """
        command = [self._nginx, "-t", "-q", "-c", path]
        done = subprocess.run(command, capture_output=True, env=_environment(), check=False)
        return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()

    def unit(self) -> Unit:
        """Returns the state of nginx's unit."""
        properties = ("ActiveState", "MainPID", "NeedDaemonReload", "DropInPaths")
        lines = self.systemctl("show", f"--property={','.join(properties)}", UNIT).splitlines()
        found = dict.fromkeys(properties, "") | dict(line.split("=", 1) for line in lines)
        return Unit(
            active=found["ActiveState"] in ("active", "reloading", "refreshing"),
            main_pid=int(found["MainPID"] or 0),
            needs_daemon_reload=found["NeedDaemonReload"] == "yes",
            drop_ins=found["DropInPaths"].split(),
        )

    def systemctl(self, *arguments: str) -> str:
        """Runs systemctl, and returns what it printed.

        Raises:
            RefusedError: it failed.
        """
        command = ["systemctl", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=_environment(), check=False)
        if done.returncode != 0:
            raise RefusedError(f"{' '.join(command)} failed with code {done.returncode}. Look at journalctl -u {UNIT}.")
        return done.stdout.decode(errors="replace")

    def children(self, pid: int) -> set[int]:
        """Returns the processes that a process has started; none if it has ended."""
        try:
            return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        except FileNotFoundError:
            return set()

    def protect(self, log: str) -> None:
        """Makes a log that all but its readers cannot read, as logrotate makes it."""
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, LOG_MODE)
        try:
            os.fchmod(file, LOG_MODE)
            os.fchown(file, pwd.getpwnam(LOG_OWNER).pw_uid, grp.getgrnam(LOG_GROUP).gr_gid)
        finally:
            os.close(file)

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        time.sleep(seconds)


class Configuration:
    """nginx's configuration on this host.

    Args:
        settings: what the role wrote.
        system: nginx and systemd.
    """

    def __init__(self, settings: Settings, system: System) -> None:
        self._settings = settings
        self._system = system
        self._nginx_conf = f"{settings.etc}/nginx.conf"
        self._places = {place["name"]: place["path"] for place in settings.places}

    def plan(self) -> None:
        """Prints what `apply` would do: nothing before the role has written the drafts."""
        if not any(os.path.exists(self._draft_path(name)) for name in self._places):
            return
        changes = self._changes()
        _say(change.text for change in changes)
        _say(self._next(self._system.unit(), bool(changes)))

    def test(self) -> None:
        """Tests the drafts, if there is an nginx yet.

        Raises:
            RefusedError: nginx would not load them.
        """
        if self._system.installed() and (changes := self._changes()):
            self._protect_logs()
            self._try(changes)

    def apply(self, held: Collection[str]) -> None:
        """Puts the drafts into their places, and makes nginx load them.

        Args:
            held: processes to hold back.

        Raises:
            RefusedError: nginx does not load them.
        """
        changes = self._changes(held)
        self._protect_logs()
        if changes:
            self._try(changes)
        before = self._put(changes)
        _say(change.text for change in changes)
        unit = self._system.unit()
        following = self._next(unit, bool(changes))
        # systemd does not detect the first drop-in of a unit without a daemon-reload.
        if unit.needs_daemon_reload or self._settings.drop_in not in unit.drop_ins:
            self._system.systemctl("daemon-reload")
        if following == [START]:
            self._system.systemctl("enable", "--quiet", UNIT)
            self._system.systemctl("start", UNIT)
        elif following == [RESTART]:
            self._restart(before)
        elif following == [RELOAD]:
            self._reload(before)
        _say(following)

    def hold(self, held: Collection[str]) -> None:
        """Holds back these processes and no others; the drafts are not looked at.

        Raises:
            RefusedError: nginx does not load it.
        """
        path = self._places["http"]
        found = _read_file(path)
        if found is None:
            return
        wanted = File(hold_back(found.content, held))
        changes = [Change(path, wanted)] if wanted.content != found.content else []
        before = self._put(changes)
        # While it does not run, its next start reads the file.
        active = self._system.unit().active
        if active and not self._is_loaded():
            self._reload(before)
        elif not changes:
            return
        _say([f"hold {' '.join(held)}"])

    def record(self) -> None:
        """Notes what nginx has loaded."""
        self._protect_logs()
        _write(self._settings.stamp, File(f"{self._digest()}\n".encode()))

    def _changes(self, held: Collection[str] = ()) -> list[Change]:
        """Returns what has to change, in the order in which it is done."""
        settings = self._settings
        wanted = [Change(path, self._draft(name, held), f"write {path}") for name, path in self._places.items()]
        wanted += [Change(link["path"], Link(link["target"]), f"enable {link['path']}") for link in settings.links]
        changes = [change for change in wanted if not _is(change.wanted, _read(change.path))]
        changes += [Change(path, None, f"disable {path}") for path in settings.disabled if os.path.islink(path)]
        nginx_conf = _read_file(self._nginx_conf)
        if nginx_conf is not None:
            content = set_worker_connections(nginx_conf.content, settings.worker_connections, may_lower=settings.alone)
            if content != nginx_conf.content:
                text = f"set worker_connections in {self._nginx_conf}"
                changes.append(Change(self._nginx_conf, nginx_conf._replace(content=content), text))
        return changes

    def _draft_path(self, name: str) -> str:
        return f"{self._settings.drafts}/{name}.conf"

    def _draft(self, name: str, held: Collection[str]) -> File:
        path = self._draft_path(name)
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            raise RefusedError(f"The draft {path} is missing. Run site.yml: it writes the drafts.") from None
        return File(hold_back(content, held) if name == "http" else content)

    def _put(self, changes: Sequence[Change]) -> list[Change]:
        """Makes changes, and returns those that undo them."""
        before = [Change(change.path, _read(change.path)) for change in changes]
        for path in (self._nginx_conf, *self._places.values(), *(link["path"] for link in self._settings.links)):
            # From a run that was killed.
            Path(_temporary(path)).unlink(missing_ok=True)
        if changes:
            Path(self._settings.stamp).unlink(missing_ok=True)
        for change in changes:
            _write(change.path, change.wanted)
        return before

    def _try(self, changes: Sequence[Change]) -> None:
        """Tests changes in a copy.

        Raises:
            RefusedError: nginx would not load them.
        """
        etc = self._settings.etc
        scratch = f"{self._settings.stamp}.test"
        copy = f"{scratch}/etc"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            os.mkdir(scratch, mode=0o700)
            shutil.copytree(etc, copy, symlinks=True)
            for change in changes:
                _write(copy + change.path.removeprefix(etc), change.wanted)
            _redirect(f"{copy}/nginx.conf", etc, copy)
            refusal = self._system.refusal(f"{copy}/nginx.conf")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if refusal is not None:
            raise RefusedError(
                f"{refusal.replace(f'{copy}/', f'{etc}/')}\nnginx refuses this configuration. The previous one stays in"
                f" force; the drafts are in {self._settings.drafts}."
            )

    def _reload(self, before: Sequence[Change]) -> None:
        """Makes nginx load what is in its places, and waits until it has.

        Its master process keeps the old configuration if it cannot load the new one, and only logs the reason. New
        worker processes show that it has loaded the new one.

        Args:
            before: what to put back if nginx does not load it, so that it is not read at the next start of the host.

        Raises:
            RefusedError: nginx does not load it.
        """
        refusal = self._system.refusal(self._nginx_conf)
        if refusal is not None:
            raise RefusedError(f"{refusal}\nnginx refuses this configuration. {self._put_back(before)}")
        master = self._system.unit().main_pid
        old = self._system.children(master)
        try:
            self._system.systemctl("reload", UNIT)
        except RefusedError as refused:
            raise RefusedError(f"{refused} {self._put_back(before)}") from None
        for _ in range(round(LOAD_SECONDS / LOOK_SECONDS)):
            if self._system.children(master) - old:
                return
            self._system.wait(LOOK_SECONDS)
        reason = _last_lines(self._settings.error_log)
        raise RefusedError(f"{reason}\nnginx did not load this configuration. {self._put_back(before)}")

    def _next(self, unit: Unit, changed: bool) -> list[str]:
        """Returns what nginx's unit needs, in one line; none if it needs nothing."""
        if not unit.active:
            return [START]
        if self._is_fresh(unit):
            return [RESTART]
        if changed or not self._is_loaded():
            return [RELOAD]
        return [DAEMON_RELOAD] if unit.needs_daemon_reload else []

    def _is_fresh(self, unit: Unit) -> bool:
        """Returns whether nginx runs as its package started it, without other sites: a restart sandboxes it."""
        return self._settings.alone and self._settings.drop_in not in unit.drop_ins

    def _restart(self, before: Sequence[Change]) -> None:
        """Restarts nginx.

        Args:
            before: what to put back if nginx does not start.

        Raises:
            RefusedError: it does not.
        """
        try:
            self._system.systemctl("restart", UNIT)
        except RefusedError as refused:
            text = self._put_back(before)
            self._system.systemctl("restart", UNIT)
            raise RefusedError(f"{refused} {text}") from None

    def _protect_logs(self) -> None:
        """Makes the logs before nginx does, which would make them readable for all."""
        for path in self._settings.logs:
            if not os.path.exists(path) or os.stat(path).st_mode & 0o027:
                self._system.protect(path)

    def _put_back(self, before: Sequence[Change]) -> str:
        """Undoes changes, and returns what is in force then."""
        Path(self._settings.stamp).unlink(missing_ok=True)
        for change in reversed(before):
            _write(change.path, change.wanted)
        if not before:
            return "It keeps the one that it loaded before."
        return f"The previous one is back in its places and stays in force; the drafts are in {self._settings.drafts}."

    def _is_loaded(self) -> bool:
        stamp = _read_file(self._settings.stamp)
        # A program before this one wrote the line of sha256sum: the hash, and a name.
        return stamp is not None and stamp.content.split()[:1] == [self._digest().encode()]

    def _digest(self) -> str:
        """Returns a hash of all that nginx loads of ours."""
        whole = hashlib.sha256()
        for path in (self._nginx_conf, *self._places.values(), *self._settings.certificates):
            if os.path.exists(path):
                whole.update(Path(path).read_bytes())
        return whole.hexdigest()


def hold_back(http: bytes, held: Collection[str]) -> bytes:
    """Returns the file of the upstreams with these processes marked `down`, and no others."""
    names = {name.encode() for name in held}

    def line(found: re.Match[bytes]) -> bytes:
        down = found["process"] in names and not found["comment"].endswith(ALONE)
        return found["server"] + (b" down;" if down else b";") + found["comment"]

    return SERVER.sub(line, http)


def set_worker_connections(nginx_conf: bytes, number: int, *, may_lower: bool) -> bytes:
    """Returns `nginx.conf` with a number of connections.

    Args:
        nginx_conf: the file.
        number: how many connections our sites need.
        may_lower: whether a larger number is replaced. Other sites of the host may need it.
    """

    def line(found: re.Match[bytes]) -> bytes:
        return b"%s%d;" % (found[1], number if may_lower else max(number, int(found[2])))

    return WORKER_CONNECTIONS.sub(line, nginx_conf)


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _is(wanted: File | Link | None, found: File | Link | None) -> bool:
    """Returns whether a path is as it should be; mode and owner of a file do not matter."""
    if isinstance(wanted, File) and isinstance(found, File):
        return wanted.content == found.content
    return wanted == found


def _read(path: str) -> File | Link | None:
    """Returns what is at a path."""
    return Link(os.readlink(path)) if os.path.islink(path) else _read_file(path)


def _read_file(path: str) -> File | None:
    """Returns the file at a path, or the one to which a link leads."""
    try:
        status = os.stat(path)
        return File(Path(path).read_bytes(), status.st_mode & 0o7777, (status.st_uid, status.st_gid))
    except FileNotFoundError:
        return None


def _write(path: str, wanted: File | Link | None) -> None:
    """Replaces what is at a path in one step, so that no program reads half of it."""
    if wanted is None:
        Path(path).unlink(missing_ok=True)
        return
    new = _temporary(path)
    Path(new).unlink(missing_ok=True)
    if isinstance(wanted, Link):
        os.symlink(wanted.target, new)
    else:
        Path(new).write_bytes(wanted.content)
        if wanted.owner is not None:
            os.chown(new, *wanted.owner)
        os.chmod(new, wanted.mode)
    os.replace(new, path)


def _temporary(path: str) -> str:
    """Returns where a file is written before it replaces another one."""
    directory, name = os.path.split(path)
    # The dot keeps it out of `include sites-enabled/*`.
    return f"{directory}/.{name}.new"


def _redirect(path: str, old: str, new: str) -> None:
    """Makes an `nginx.conf` read another directory."""
    found = _read_file(path)
    if found is not None:
        _write(path, found._replace(content=found.content.replace(f"{old}/".encode(), f"{new}/".encode())))


def _last_lines(path: str, number: int = 3) -> str:
    """Returns the end of a log."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.stat(path).st_size - 4096))
            lines = log.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-number:])


def run(configuration: Configuration, verb: str, processes: Sequence[str]) -> None:
    """Executes a verb."""
    if verb == "plan":
        configuration.plan()
    elif verb == "test":
        configuration.test()
    elif verb == "apply":
        configuration.apply(processes)
    elif verb == "hold":
        configuration.hold(processes)
    else:
        configuration.record()


def main(arguments: Sequence[str]) -> int:
    """Runs the program, and returns its exit code."""
    verb, *processes = arguments or [""]
    if verb not in ("plan", "test", "apply", "hold", "record"):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        settings = Settings(**json.loads(Path(f"{os.path.realpath(__file__)}.json").read_bytes()))
        run(Configuration(settings, System(settings.nginx)), verb, processes)
    except (RefusedError, OSError, ValueError, TypeError, LookupError) as error:
        print(error, file=sys.stderr)
        # nginx starts all the same. The stamp is missing or old then, so the next run reloads it.
        return 0 if verb == "record" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
