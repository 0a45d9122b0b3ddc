# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx-config: what it changes, what it refuses, and what is left when nginx does not load it or it is killed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tools.inventory import load_topology
from tools.proxy_files import proxy_files

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "roles" / "nginx" / "files" / "nginx_config.py"
DROP_IN = "/etc/systemd/system/nginx.service.d/matrix-synapse.conf"
NGINX_CONF = """
worker_processes auto;
include {etc}/modules-enabled/*.conf;
events {{
\tworker_connections 768;
}}
http {{
\tinclude {etc}/conf.d/*.conf;
\tinclude {etc}/sites-enabled/*;
}}
"""
HTTP_CONF = """
# typing
upstream synapse_typing {
  server unix:/run/a-1.sock max_fails=0; # a-1 alone
  keepalive 4;
}
upstream synapse_sync {
  server unix:/run/a-1.sock max_fails=0; # a-1
  server unix:/run/a-10.sock max_fails=0; # a-10
  server 10.0.0.2:8000 max_fails=0; # b-1
  keepalive 4;
}
"""
A_1_HELD = HTTP_CONF.replace("max_fails=0; # a-1\n", "max_fails=0 down; # a-1\n")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nginx_config_program", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


program = _load()


class KilledError(BaseException):
    """The program was killed before a step."""


class Host(program.System):  # type: ignore[name-defined]
    """A host after Debian's nginx was installed and the role has written the drafts, with a simulated nginx.

    Attributes:
        active: nginx runs.
        loaded: what it runs with: the contents by path below /etc/nginx.
        wrong: words that nginx refuses in any file.
        takes: nginx loads what passes the test; if not, it only logs why.
        slow: how often the program looks before the new worker processes run.
        calls: what nginx and systemd were asked, in order.
    """

    def __init__(self, root: Path) -> None:
        super().__init__("/usr/sbin/nginx")
        self.root = root
        self.etc = root / "etc/nginx"
        self.stamp = root / "run/loaded"
        self.log = root / "error.log"
        self.certificate = root / "certificate.pem"
        self.stamp.parent.mkdir(parents=True)
        for directory in ("modules-enabled", "conf.d", "sites-available", "sites-enabled", "matrix-synapse"):
            (self.etc / directory).mkdir(parents=True)
        self.write("nginx.conf", NGINX_CONF.format(etc=self.etc))
        self.write("sites-available/default", "debian")
        (self.etc / "sites-enabled/default").symlink_to(self.etc / "sites-available/default")
        self.certificate.write_text("certificate")
        self.draft(main="pcre_jit on;\n", http=HTTP_CONF, site="server {}\n")
        self.active = True
        self.known = [DROP_IN]
        self.needs_daemon_reload = False
        self.loaded: dict[str, str] = {}
        self.wrong = "nonsense"
        self.takes = True
        self.slow = 0
        self.calls: list[str] = []
        self.there = True
        self.alone = False
        self._generation = 1
        self._pending = 0
        self._before_step: Callable[[], None] = lambda: None

    # What the operator and the role do.

    def write(self, path: str, text: str) -> None:
        (self.etc / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.etc / path).read_text()

    def draft(self, **texts: str) -> None:
        for name, text in texts.items():
            self.write(f"matrix-synapse/{name}.conf", text)

    @property
    def settings(self) -> Any:
        places = {"main": "modules-enabled/99-m.conf", "http": "conf.d/m.conf", "site": "sites-available/m"}
        return program.Settings(
            nginx="/usr/sbin/nginx",
            etc=str(self.etc),
            drafts=str(self.etc / "matrix-synapse"),
            places=[{"name": name, "path": str(self.etc / path)} for name, path in places.items()],
            links=[{"path": str(self.etc / "sites-enabled/m"), "target": "../sites-available/m"}],
            disabled=[str(self.etc / "sites-enabled/default")],
            alone=self.alone,
            worker_connections=8192,
            certificates=[str(self.certificate), str(self.root / "missing.key")],
            stamp=str(self.stamp),
            drop_in=DROP_IN,
            error_log=str(self.log),
            logs=[str(self.root / "access.log")],
        )

    def run(self, verb: str, *processes: str) -> None:
        program.run(program.Configuration(self.settings, self), verb, processes)

    def kill_before(self, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Kills the program before a step: a change in the file system, or a call of nginx or systemd."""
        left = iter(range(number))

        def step() -> None:
            if next(left, None) is None:
                raise KilledError

        self._before_step = step
        for name in ("replace", "unlink", "symlink", "chmod"):
            real = getattr(os, name)

            def do(*arguments: Any, _real: Any = real, **options: Any) -> Any:
                # Only shutil.rmtree has it, which removes the copy.
                if "dir_fd" not in options:
                    step()
                return _real(*arguments, **options)

            monkeypatch.setattr(program.os, name, do)
        write = Path.write_bytes

        def write_half(path: Path, content: bytes) -> int:
            write(path, content[: len(content) // 2])
            step()
            return write(path, content)

        monkeypatch.setattr(Path, "write_bytes", write_half)

    def live(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        self._before_step = lambda: None

    # What it shows.

    def tree(self) -> dict[str, str]:
        """All of /etc/nginx: contents of files, targets of links, and modes."""
        found = {}
        for path in sorted(self.etc.rglob("*")):
            if path.is_symlink():
                found[str(path.relative_to(self.etc))] = f"-> {os.readlink(path)}"
            elif path.is_file():
                found[str(path.relative_to(self.etc))] = f"{path.stat().st_mode:o} {path.read_text()}"
        return found

    @property
    def up_to_date(self) -> bool:
        """nginx runs with what is on disk."""
        return self.active and self.loaded == self._readable()

    # nginx and systemd.

    def installed(self) -> bool:
        return self.there

    def refusal(self, path: str) -> str | None:
        self._step(f"test {'/etc/nginx' if path == str(self.etc / 'nginx.conf') else 'copy'}")
        etc = Path(path).parent
        assert str(etc) in Path(path).read_text()
        for file in ("nginx.conf", "conf.d/m.conf", "sites-enabled/m", "modules-enabled/99-m.conf"):
            if (etc / file).exists() and self.wrong in (etc / file).read_text():
                return f"nginx: [emerg] unknown directive in {etc}/{file}:1"
        return None

    def unit(self) -> Any:
        return program.Unit(self.active, 7 if self.active else 0, self.needs_daemon_reload, self.known)

    def systemctl(self, *arguments: str) -> str:
        self._step(" ".join(arguments))
        if arguments[0] == "daemon-reload":
            self.known, self.needs_daemon_reload = [DROP_IN], False
        elif arguments[0] == "start":
            self.active, self.loaded = True, self._readable()
            self._record()
        elif arguments[0] == "reload":
            assert self.active
            if self.takes:
                self.loaded, self._pending = self._readable(), self.slow
                self._generation += 1
            else:
                self.log.write_text("".join(f"line {number}\n" for number in range(900)) + "[emerg] no memory\n")
            self._record()
        return ""

    def children(self, pid: int) -> set[int]:
        assert pid == 7
        old = self._pending > 0
        self._pending -= old
        # The first one drains its connections for a long time.
        return {100, 100 + self._generation - old}

    def wait(self, seconds: float) -> None:
        assert seconds < 1
        self.calls.append("wait")

    def _record(self) -> None:
        if DROP_IN in self.known:
            self.run("record")

    def _step(self, text: str) -> None:
        self._before_step()
        self.calls.append(text)

    def _readable(self) -> dict[str, str]:
        found = self.tree()
        return {
            path: (self.etc / path).read_text()
            for path in found
            if path.startswith(("nginx.conf", "modules-enabled/", "conf.d/", "sites-enabled/"))
        } | {"certificate": self.certificate.read_text()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host to which nothing was applied yet; nginx runs as Debian starts it."""
    return Host(tmp_path)


@pytest.fixture
def applied(host: Host, capsys: pytest.CaptureFixture[str]) -> Host:
    """A host to which everything was applied."""
    host.run("apply")
    capsys.readouterr()
    host.calls.clear()
    return host


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def everything(host: Host) -> list[str]:
    return [
        f"write {host.etc}/modules-enabled/99-m.conf",
        f"write {host.etc}/conf.d/m.conf",
        f"write {host.etc}/sites-available/m",
        f"enable {host.etc}/sites-enabled/m",
        f"disable {host.etc}/sites-enabled/default",
        f"set worker_connections in {host.etc}/nginx.conf",
    ]


# plan


def test_plan_prints_what_apply_then_does_and_changes_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = host.tree()
    host.run("plan")
    planned = said(capsys)
    assert planned == [*everything(host), "reload nginx"]
    assert (host.tree(), host.calls, host.stamp.exists()) == (before, [], False)
    host.run("apply")
    assert said(capsys) == planned


def test_plan_of_a_host_where_nginx_does_not_run(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.active = False
    host.run("plan")
    assert said(capsys) == [*everything(host), "start nginx"]


def test_plan_says_nothing_if_nothing_is_to_do(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    applied.run("plan")
    assert said(capsys) == []


def test_plan_says_nothing_before_there_are_drafts(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(host.etc / "matrix-synapse")
    host.active = False
    host.run("plan")
    assert said(capsys) == []


def change_site(host: Host) -> None:
    host.draft(site="server { more; }\n")


def change_certificate(host: Host) -> None:
    host.certificate.write_text("renewed")


def remove_link(host: Host) -> None:
    (host.etc / "sites-enabled/m").unlink()


def turn_link(host: Host) -> None:
    remove_link(host)
    (host.etc / "sites-enabled/m").symlink_to("../sites-available/default")


def enable_default(host: Host) -> None:
    (host.etc / "sites-enabled/default").symlink_to("../sites-available/default")


def update_nginx_conf(host: Host) -> None:
    host.write("nginx.conf", NGINX_CONF.format(etc=host.etc))


def edit_by_hand(host: Host) -> None:
    host.write("conf.d/m.conf", HTTP_CONF.replace("a-10", "a-11"))


def lose_stamp(host: Host) -> None:
    host.stamp.unlink()


CHANGES: dict[Callable[[Host], None], list[str]] = {
    change_site: ["write {etc}/sites-available/m", "reload nginx"],
    change_certificate: ["reload nginx"],
    remove_link: ["enable {etc}/sites-enabled/m", "reload nginx"],
    turn_link: ["enable {etc}/sites-enabled/m", "reload nginx"],
    enable_default: ["disable {etc}/sites-enabled/default", "reload nginx"],
    update_nginx_conf: ["set worker_connections in {etc}/nginx.conf", "reload nginx"],
    edit_by_hand: ["write {etc}/conf.d/m.conf", "reload nginx"],
    lose_stamp: ["reload nginx"],
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_planned_and_applied(
    applied: Host, change: Callable[[Host], None], capsys: pytest.CaptureFixture[str]
) -> None:
    change(applied)
    expected = [line.format(etc=applied.etc) for line in CHANGES[change]]
    applied.run("plan")
    assert said(capsys) == expected
    applied.run("apply")
    assert said(capsys) == expected
    assert applied.up_to_date
    applied.run("plan")
    applied.run("apply")
    assert said(capsys) == []


# apply


def test_apply_puts_all_into_place_and_nginx_runs_with_it(host: Host) -> None:
    (host.etc / "nginx.conf").chmod(0o640)
    host.run("apply")
    found = host.tree()
    assert found["modules-enabled/99-m.conf"] == "100644 pcre_jit on;\n"
    assert found["conf.d/m.conf"] == f"100644 {HTTP_CONF}"
    assert found["sites-available/m"] == "100644 server {}\n"
    assert found["sites-enabled/m"] == "-> ../sites-available/m"
    assert "sites-enabled/default" not in found
    # Its mode is the operator's.
    assert found["nginx.conf"] == f"100640 {NGINX_CONF.format(etc=host.etc).replace('768', '8192')}"
    assert host.up_to_date
    assert host.calls == ["test copy", "test /etc/nginx", "reload nginx.service"]
    assert not [path for path in found if path.endswith(".new")]
    assert list(host.stamp.parent.iterdir()) == [host.stamp]


def test_an_nginx_conf_that_is_a_link_becomes_a_file_and_is_put_back(host: Host) -> None:
    (host.etc / "nginx.conf").rename(host.etc / "own.conf")
    (host.etc / "nginx.conf").symlink_to("own.conf")
    before = host.tree()
    host.takes = False
    with pytest.raises(program.RefusedError):
        host.run("apply")
    assert host.tree() == before
    host.takes = True
    host.run("apply")
    assert "8192" in host.tree()["nginx.conf"]
    assert host.tree()["own.conf"] == before["own.conf"]
    assert host.up_to_date


def test_a_copy_is_tested_also_if_nginx_conf_is_a_link(applied: Host) -> None:
    (applied.etc / "nginx.conf").rename(applied.etc / "own.conf")
    (applied.etc / "nginx.conf").symlink_to("own.conf")
    applied.draft(site="nonsense")
    before = applied.tree()
    with pytest.raises(program.RefusedError, match="stays in force"):
        applied.run("apply")
    assert applied.calls == ["test copy"]
    assert applied.tree() == before


def test_apply_does_nothing_if_nothing_is_to_do(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = applied.tree()
    applied.run("apply")
    assert (said(capsys), applied.calls, applied.tree()) == ([], [], before)


def test_apply_starts_nginx_and_enables_it(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.active = False
    host.known = []
    host.run("apply")
    assert host.calls == ["test copy", "daemon-reload", "enable --quiet nginx.service", "start nginx.service"]
    assert said(capsys)[-1] == "start nginx"
    assert host.up_to_date
    host.run("apply")
    assert said(capsys) == []


@pytest.mark.parametrize("known", [True, False])
def test_systemd_knows_the_drop_in_before_nginx_is_reloaded(host: Host, *, known: bool) -> None:
    host.needs_daemon_reload, host.known = known, [DROP_IN] if known else ["/etc/other.conf"]
    host.run("apply")
    assert host.calls[-3:] == ["daemon-reload", "test /etc/nginx", "reload nginx.service"]
    assert host.stamp.exists()


def test_apply_waits_for_new_worker_processes(applied: Host) -> None:
    applied.slow = 3
    change_site(applied)
    applied.run("apply")
    assert applied.calls == ["test copy", "test /etc/nginx", "reload nginx.service", *["wait"] * 3]


@pytest.mark.parametrize("verb", ["test", "apply"])
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_draft_changes_nothing(host: Host, verb: str, *, first: bool) -> None:
    if not first:
        host.run("apply")
    host.draft(site="nonsense")
    before, loaded, stamp = host.tree(), host.loaded, host.stamp.exists()
    host.calls.clear()
    with pytest.raises(program.RefusedError) as refused:
        host.run(verb)
    assert str(refused.value).splitlines() == [
        f"nginx: [emerg] unknown directive in {host.etc}/sites-enabled/m:1",
        "nginx refuses this configuration. The previous one stays in force; the drafts are in"
        f" {host.etc}/matrix-synapse.",
    ]
    assert (host.tree(), host.loaded, host.stamp.exists()) == (before, loaded, stamp)
    assert host.calls == ["test copy"]
    assert not [path for path in host.stamp.parent.iterdir() if path != host.stamp]


def test_test_changes_nothing_and_needs_nginx(host: Host) -> None:
    before = host.tree()
    host.run("test")
    assert (host.tree(), host.calls) == (before, ["test copy"])
    host.there = False
    host.draft(site="nonsense")
    host.run("test")
    assert host.calls == ["test copy"]


def test_what_nginx_does_not_load_is_put_back(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    applied.draft(site="server { more; }\n", main="other;\n")
    remove_link(applied)
    enable_default(applied)
    update_nginx_conf(applied)
    (applied.etc / "nginx.conf").chmod(0o600)
    before = applied.tree()
    applied.takes = False
    with pytest.raises(program.RefusedError) as refused:
        applied.run("apply")
    assert applied.tree() == before
    assert "line 899\n[emerg] no memory\nnginx did not load this configuration." in str(refused.value)
    assert "line 897" not in str(refused.value)
    assert "The previous one is back in its places" in str(refused.value)
    assert "reload nginx" not in said(capsys)
    applied.takes = True
    applied.run("apply")
    assert applied.up_to_date
    assert said(capsys)[-1] == "reload nginx"


def test_first_configuration_that_is_not_loaded_leaves_debians(host: Host) -> None:
    before = host.tree()
    host.takes = False
    with pytest.raises(program.RefusedError):
        host.run("apply")
    assert (host.tree(), host.stamp.exists()) == (before, False)


def test_what_only_fails_in_its_place_is_put_back(
    applied: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_site(applied)
    before = applied.tree()
    places = str(applied.etc / "nginx.conf")
    monkeypatch.setattr(applied, "refusal", lambda path: "no such snippet" if path == places else None)
    with pytest.raises(program.RefusedError, match="no such snippet\nnginx refuses"):
        applied.run("apply")
    assert applied.tree() == before
    assert "reload nginx.service" not in applied.calls
    assert "reload nginx" not in said(capsys)


def test_a_reload_that_systemd_refuses_puts_it_back(applied: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    change_site(applied)
    before = applied.tree()

    def fail(*arguments: str) -> str:
        raise program.RefusedError(f"{arguments[0]} failed.")

    monkeypatch.setattr(applied, "systemctl", fail)
    with pytest.raises(program.RefusedError, match=r"reload failed\. The previous one is back"):
        applied.run("apply")
    assert applied.tree() == before


@pytest.mark.parametrize("name", ["main", "http", "site"])
@pytest.mark.parametrize("verb", ["plan", "test", "apply"])
def test_a_missing_draft_is_refused(applied: Host, name: str, verb: str) -> None:
    (applied.etc / f"matrix-synapse/{name}.conf").unlink()
    before = applied.tree()
    with pytest.raises(program.RefusedError, match=rf"matrix-synapse/{name}\.conf is missing\. Run site\.yml"):
        applied.run(verb)
    assert applied.tree() == before


def test_hold_record_and_release_need_no_draft(applied: Host) -> None:
    shutil.rmtree(applied.etc / "matrix-synapse")
    applied.run("hold", "a-1")
    applied.run("record")
    assert applied.read("conf.d/m.conf") == A_1_HELD


# Held back


def test_hold_marks_the_processes_and_no_others(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    # A draft that waits for its turn.
    change_site(applied)
    applied.run("hold", "a-1")
    assert said(capsys) == ["hold a-1"]
    assert applied.read("conf.d/m.conf") == A_1_HELD
    assert applied.read("sites-available/m") == "server {}\n"
    assert applied.up_to_date
    applied.run("hold", "b-1", "a-10")
    assert said(capsys) == ["hold b-1 a-10"]
    assert [line for line in applied.read("conf.d/m.conf").splitlines() if "down" in line] == [
        "  server unix:/run/a-10.sock max_fails=0 down; # a-10",
        "  server 10.0.0.2:8000 max_fails=0 down; # b-1",
    ]
    applied.run("hold")
    assert applied.read("conf.d/m.conf") == HTTP_CONF


def test_hold_does_nothing_the_second_time(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    applied.run("hold", "a-1")
    said(capsys)
    applied.calls.clear()
    applied.run("hold", "a-1")
    assert (said(capsys), applied.calls) == ([], [])


def test_hold_before_anything_was_applied(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = host.tree()
    host.run("hold", "a-1")
    assert (said(capsys), host.tree(), host.calls) == ([], before, [])


def test_hold_while_nginx_does_not_run_is_for_its_next_start(applied: Host) -> None:
    applied.active = False
    applied.run("hold", "a-1")
    assert applied.calls == []
    applied.systemctl("start", "nginx.service")
    assert applied.loaded["conf.d/m.conf"] == A_1_HELD


@pytest.mark.parametrize("wrong", [True, False])
def test_a_hold_that_nginx_does_not_load_is_put_back(applied: Host, *, wrong: bool) -> None:
    before = applied.tree()
    applied.takes = wrong
    applied.wrong = " down" if wrong else applied.wrong
    with pytest.raises(program.RefusedError, match="The previous one is back"):
        applied.run("hold", "a-1")
    assert applied.tree() == before


def test_apply_holds_back_what_restarts_and_the_next_apply_releases_it(
    applied: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    change_site(applied)
    applied.run("apply", "a-1", "b-1")
    held = A_1_HELD.replace("max_fails=0; # b-1", "max_fails=0 down; # b-1")
    assert applied.read("conf.d/m.conf") == applied.loaded["conf.d/m.conf"] == held
    said(capsys)
    applied.run("plan")
    planned = said(capsys)
    applied.run("apply")
    assert said(capsys) == planned == [f"write {applied.etc}/conf.d/m.conf", "reload nginx"]
    assert applied.loaded["conf.d/m.conf"] == HTTP_CONF


@pytest.mark.parametrize("inventory", ["full", "cluster"])
def test_the_template_prints_servers_as_the_program_reads_them(inventory: str) -> None:
    topology = load_topology(ROOT / "inventories" / inventory)
    http = proxy_files(topology).http
    lines = http.splitlines()
    for process in [process.name for process in topology.processes]:
        held = program.hold_back(http.encode(), [process]).decode()
        for line, now in zip(lines, held.splitlines(), strict=True):
            down = line.endswith(f" # {process}") and line.startswith("  server ")
            assert now == (line.replace(";", " down;", 1) if down else line)
        assert program.hold_back(held.encode(), []).decode() == http
    assert sum(line.endswith(" alone") for line in lines) > 1


# Killed


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory in memory where there is one: these tests make and remove thousands of files."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:  # noqa: S108
        yield Path(directory)


def outcomes(host: Host, verb: str, *processes: str, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tells whether the program was killed before it came to its end."""
    host.kill_before(number, monkeypatch)
    try:
        host.run(verb, *processes)
    except KilledError:
        return True
    finally:
        host.live(monkeypatch)
    return False


@pytest.mark.parametrize("active", [True, False])
def test_killed_before_any_step_the_next_apply_finishes(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, active: bool
) -> None:
    for number in range(100):
        host = Host(in_memory / str(number))
        host.run("apply")
        host.active = active
        host.draft(site="server { more; }\n", main="other;\n")
        remove_link(host)
        update_nginx_conf(host)
        killed = outcomes(host, "apply", "a-1", number=number, monkeypatch=monkeypatch)
        # Nobody ever reads half a file.
        assert host.read("modules-enabled/99-m.conf") in ("pcre_jit on;\n", "other;\n")
        assert host.read("conf.d/m.conf") in (HTTP_CONF, A_1_HELD)
        assert host.read("sites-available/m") in ("server {}\n", "server { more; }\n")
        assert host.read("nginx.conf").replace("768", "8192") == NGINX_CONF.format(etc=host.etc).replace("768", "8192")
        host.run("apply")
        assert host.up_to_date, number
        assert host.loaded["sites-enabled/m"] == "server { more; }\n"
        assert host.loaded["conf.d/m.conf"] == HTTP_CONF
        assert not [path for path in host.tree() if path.endswith(".new")]
        said(capsys)
        host.run("plan")
        assert said(capsys) == []
        if not killed:
            break
    # At least each of five files is written in two steps, in the copy and in its place.
    assert 20 < number < 99


def test_a_copy_that_a_killed_test_left_is_removed(host: Host) -> None:
    left = host.stamp.with_name("loaded.test") / "etc/sites-enabled"
    left.mkdir(parents=True)
    (left / "m").symlink_to("/nowhere")
    host.run("test")
    host.run("apply")
    assert host.up_to_date
    assert list(host.stamp.parent.iterdir()) == [host.stamp]


def test_a_change_of_a_link_alone_is_loaded_after_a_kill(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        host = Host(in_memory / str(number))
        host.run("apply")
        turn_link(host)
        host.systemctl("start", "nginx.service")
        assert host.loaded["sites-enabled/m"] == "debian"
        killed = outcomes(host, "apply", number=number, monkeypatch=monkeypatch)
        host.run("apply")
        assert host.up_to_date, number
        if not killed:
            break
    assert 5 < number < 99


def test_killed_before_any_step_the_next_hold_finishes(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        host = Host(in_memory / str(number))
        host.run("apply")
        killed = outcomes(host, "hold", "a-1", number=number, monkeypatch=monkeypatch)
        host.run("hold", "a-1")
        assert host.up_to_date, number
        assert host.loaded["conf.d/m.conf"] == A_1_HELD
        if not killed:
            break
    assert 5 < number < 99


# The note of what nginx has loaded


def test_the_note_of_the_program_before_is_understood(applied: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """After an upgrade, nginx is not reloaded only because its note was written by sha256sum."""
    files = ("nginx.conf", "modules-enabled/99-m.conf", "conf.d/m.conf", "sites-available/m")
    whole = b"".join((applied.etc / path).read_bytes() for path in files) + applied.certificate.read_bytes()
    applied.stamp.write_text(f"{hashlib.sha256(whole).hexdigest()}  -\n")
    applied.run("plan")
    assert said(capsys) == []
    applied.stamp.write_text(f"{hashlib.sha256(whole[1:]).hexdigest()}  -\n")
    applied.run("plan")
    assert said(capsys) == ["reload nginx"]


def test_settings_are_those_that_the_role_writes() -> None:
    variables = yaml.safe_load((ROOT / "roles/nginx/vars/main.yml").read_text())
    assert set(variables["__nginx_config_settings"]) == set(program.Settings._fields)


@pytest.mark.parametrize(
    ("there", "may_lower", "expected"), [(768, False, 8192), (65536, False, 65536), (65536, True, 8192)]
)
def test_other_sites_keep_their_connections(there: int, expected: int, *, may_lower: bool) -> None:
    text = b"events {\n\tworker_connections %d;\n}\n"
    assert program.set_worker_connections(text % there, 8192, may_lower=may_lower) == text % expected


# As a program, with nginx and systemctl in its PATH


class Installed:
    """The program as it is installed, with stubs of nginx and systemctl.

    Args:
        root: an empty directory.
    """

    def __init__(self, root: Path) -> None:
        self.host = Host(root)
        self.program = root / "nginx-config"
        shutil.copy(PROGRAM, self.program)
        self.calls = root / "calls"
        self.unit = root / "unit"
        binaries = root / "bin"
        binaries.mkdir()
        self._stub(binaries / "nginx", '[ ! -e "$0.wrong" ] || { echo "wrong: $4" >&2; exit 1; }')
        record = f"{sys.executable} -IS {self.program} record"
        # As nginx.service does: the main process gets a signal, then the drop-in calls the program.
        act = f'[ "$1" != reload ] || {{ kill -USR1 $(sed -n s/MainPID=//p {self.unit}); {record}; }}'
        self._stub(binaries / "systemctl", f'{act}\n[ "$1" != show ] || cat {self.unit}\n[ ! -e "$0.wrong" ]')
        self.nginx, self.systemctl = binaries / "nginx", binaries / "systemctl"
        settings = self.host.settings._replace(nginx=str(self.nginx))
        (root / "nginx-config.json").write_text(json.dumps(settings._asdict()))
        self.shows(0, active="inactive")

    def _stub(self, path: Path, text: str) -> None:
        path.write_text(f'#!/bin/sh\necho "$LC_ALL ${{0##*/}} $*" >> {self.calls}\n{text}\n')
        path.chmod(0o755)

    def shows(self, pid: int, active: str = "active", drop_in: str = DROP_IN) -> None:
        self.unit.write_text(
            f"MainPID={pid}\nActiveState={active}\nDropInPaths=/x.conf {drop_in}\nNeedDaemonReload=no\n"
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.systemctl.parent}:/usr/bin:/bin"}
        command = [sys.executable, "-IS", str(self.program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """A host with the program, where nginx does not run."""
    return Installed(tmp_path)


@pytest.fixture
def main_process() -> Iterator[int]:
    """A process that starts another one, and one more on a signal, as nginx starts new worker processes.

    Below nohup, a shell cannot trap SIGHUP, which nginx takes.
    """
    script = "trap 'sleep 60 &' USR1; sleep 60 & echo ready; while :; do wait; done"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        yield process.pid
        os.killpg(process.pid, signal.SIGKILL)


def test_the_program_starts_nginx(installed: Installed) -> None:
    done = installed.run("apply")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [*everything(installed.host), "start nginx"]
    copy = f"{installed.host.stamp}.test/etc/nginx.conf"
    show = "C systemctl show --property=ActiveState,MainPID,NeedDaemonReload,DropInPaths nginx.service"
    assert installed.calls.read_text().splitlines() == [
        f"C nginx -t -q -c {copy}",
        show,
        "C systemctl enable --quiet nginx.service",
        "C systemctl start nginx.service",
    ]


def test_the_program_reloads_nginx_and_sees_its_new_processes(installed: Installed, main_process: int) -> None:
    installed.shows(main_process, drop_in="")
    done = installed.run("apply")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "reload nginx"
    calls = installed.calls.read_text().splitlines()
    assert calls.index("C systemctl daemon-reload") < calls.index("C systemctl reload nginx.service")
    installed.shows(main_process)
    for verb in ("plan", "apply"):
        done = installed.run(verb)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_program_fails_with_the_words_of_nginx_and_of_systemd(installed: Installed) -> None:
    installed.nginx.with_name("nginx.wrong").touch()
    done = installed.run("test")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"wrong: {installed.host.etc}/nginx.conf"
    assert "Traceback" not in done.stderr
    installed.nginx.with_name("nginx.wrong").unlink()
    installed.systemctl.with_name("systemctl.wrong").touch()
    done = installed.run("apply")
    assert (done.returncode, "start nginx" in done.stdout) == (1, False)
    assert "Look at journalctl -u nginx.service." in done.stderr


@pytest.mark.parametrize("arguments", [(), ("reload",), ("--help",)])
def test_the_program_knows_its_verbs(installed: Installed, arguments: tuple[str, ...]) -> None:
    done = installed.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: nginx-config plan|test|apply|hold|record [PROCESS]...\n"


def test_nginx_starts_also_if_nothing_can_be_noted(installed: Installed) -> None:
    assert installed.run("record").returncode == 0
    assert installed.host.stamp.exists()
    installed.program.with_name("nginx-config.json").write_text("{}")
    done = installed.run("record")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stderr
    assert installed.run("plan").returncode == 1
