# SPDX-License-Identifier: GPL-3.0-or-later
"""The fingerprint script of the role synapse, run for real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.plugins.filter.core import comment, regex_replace
from ansible_collections.baremetal.synapse.plugins.module_utils._unit_states import (
    parse_fingerprint,
    parse_fingerprints,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils._layout import layout
from jinja2 import Environment, FileSystemLoader

TEMPLATES = Path(__file__).parents[3] / "roles/synapse/templates"


class Host:
    """A host's files below a temporary directory, and the script for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = {key: f"{root}{value}" if value.startswith("/") else value for key, value in layout().items()}
        for key in ("workers_dir", "secrets_dir", "unit_dir", "fingerprint_dir", "install_dir", "libexec_dir"):
            Path(self.layout[key]).mkdir(parents=True)
        self.release("1.163.2-aaa")
        for key in ("shared_config", "log_config", "main_config"):
            Path(self.layout[key]).write_text(key)
        for name in ("w1", "w2"):
            self.write("workers_dir", f"{name}.yaml", name)
        self.write("secrets_dir", "form_secret", "s3cret")
        for key in ("main_unit", "worker_unit"):
            self.write("unit_dir", self.layout[key], key)
        environment = Environment(  # noqa: S701  # it prints a shell script, no page
            loader=FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True
        )
        environment.filters.update(comment=comment, regex_replace=regex_replace)
        text = environment.get_template("fingerprint.j2").render(
            __synapse_layout=self.layout, ansible_managed="Ansible managed"
        )
        self.script = Path(self.layout["libexec_dir"], "fingerprint")
        self.script.write_text(text + "\n")
        self.script.chmod(0o755)

    def write(self, key: str, name: str, text: str) -> None:
        path = Path(self.layout[key], name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def release(self, name: str) -> None:
        link = Path(self.layout["current"])
        link.unlink(missing_ok=True)
        link.symlink_to(f"{self.layout['releases_dir']}/{name}")

    def run(self, *arguments: str) -> dict[str, dict[str, str]]:
        done = subprocess.run([str(self.script), *arguments], capture_output=True, text=True, check=True)
        return parse_fingerprints(done.stdout)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def who_changes(host: Host, before: dict[str, dict[str, str]]) -> list[str]:
    after = host.run("main", "w1", "w2")
    return [name for name in before if before[name] != after[name]]


def test_nothing_changes_by_itself(host: Host) -> None:
    assert who_changes(host, host.run("main", "w1", "w2")) == []


def test_a_release_a_secret_and_the_shared_files_concern_everyone(host: Host) -> None:
    for change in (
        lambda: host.release("1.163.2-bbb"),
        lambda: host.write("secrets_dir", "form_secret", "other"),
        lambda: host.write("secrets_dir", "another", "new"),
        lambda: Path(host.layout["shared_config"]).write_text("other"),
        lambda: Path(host.layout["log_config"]).write_text("other"),
    ):
        before = host.run("main", "w1", "w2")
        change()
        assert who_changes(host, before) == ["main", "w1", "w2"]


def test_what_is_one_process_own_concerns_it_alone(host: Host) -> None:
    for path, whom in (
        (("workers_dir", "w1.yaml"), ["w1"]),
        (("config_dir", "main.yaml"), ["main"]),
        (("unit_dir", "matrix-synapse.service"), ["main"]),
        (("unit_dir", "matrix-synapse.service.d/pool.conf"), ["main"]),
        (("unit_dir", "matrix-synapse-worker@w2.service.d/pool.conf"), ["w2"]),
        (("unit_dir", "matrix-synapse-worker@w2.service.d/operators.conf"), ["w2"]),
    ):
        before = host.run("main", "w1", "w2")
        host.write(*path, "other")
        assert who_changes(host, before) == whom


def test_the_unit_of_the_workers_concerns_all_workers(host: Host) -> None:
    for name in ("matrix-synapse-worker@.service", "matrix-synapse-worker@.service.d/operators.conf"):
        before = host.run("main", "w1", "w2")
        host.write("unit_dir", name, "other")
        assert who_changes(host, before) == ["w1", "w2"]


def test_what_is_recorded_is_what_is_printed(host: Host) -> None:
    host.run("--record", "w1")
    recorded = Path(host.layout["fingerprint_dir"], "w1").read_text()
    assert parse_fingerprint(recorded) == host.run("w1")["w1"]


def test_everything_hashed_lies_in_what_is_named_as_input(host: Host) -> None:
    host.write("unit_dir", "matrix-synapse-worker@w1.service.d/pool.conf", "x")
    inputs = list(host.run("--inputs", "w1")["w1"])
    hashed = host.run("w1")["w1"]
    assert [path for path in hashed if not any(path == known or path.startswith(f"{known}/") for known in inputs)] == []


def test_an_input_is_named_before_it_exists(host: Host) -> None:
    assert f"{host.layout['unit_dir']}/matrix-synapse-worker@w9.service.d" in host.run("--inputs", "w9")["w9"]


def test_no_secret_is_printed(host: Host) -> None:
    done = subprocess.run([str(host.script), "main"], capture_output=True, text=True, check=True)
    assert "s3cret" not in done.stdout
