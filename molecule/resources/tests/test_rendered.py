# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/render.yml renders what site.yml has deployed, byte for byte."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import Deployment, Machine, topology
from tests.support.playbooks import ansible

HOSTS = list(topology().addresses)
SYNAPSE_HOSTS = {process.host for process in topology().processes}
SECRETS = "/etc/matrix-synapse/secrets"
PLACEHOLDER = "PLACEHOLDER"
# A part of a file that is not ours alone.
BLOCK = ".block"
# Whatever of ours is there.
OURS = (
    "find /etc/matrix-synapse /etc/systemd/system /etc/nginx /etc/postgresql /etc/redis /etc/tmpfiles.d"
    " /etc/matrix-synapse-firewall.nft /opt/matrix-synapse/requirements /usr/local/lib/matrix-synapse"
    " -type f -path '*matrix-synapse*'"
    " 2>/dev/null || true"
)


def done(program: str, *arguments: str) -> None:
    """Runs a program of Ansible on the scenario's inventories."""
    run = ansible(program, *arguments)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.fixture(scope="module")
def tree(fleet: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trees of all hosts, rendered with what the hosts are; they are alike."""
    place = tmp_path_factory.mktemp("rendered")
    name = fleet.topology.main.host
    done("ansible", name, "--module-name=ansible.builtin.setup", f"--tree={place / 'facts'}")
    facts: dict[str, Any] = json.loads((place / "facts" / name).read_text())["ansible_facts"]
    variables = {
        "render_to": str(place / "out"),
        "render_debian_version": facts["ansible_distribution_major_version"],
        "render_architecture": facts["ansible_architecture"],
        "render_memory_mib": facts["ansible_memtotal_mb"],
        "render_cpus": facts["ansible_processor_vcpus"],
    }
    done("ansible-playbook", "baremetal.synapse.render", f"--extra-vars={json.dumps(variables)}")
    return place / "out"


@pytest.fixture(scope="module", params=HOSTS)
def machine(request: pytest.FixtureRequest, fleet: Deployment) -> Machine:
    """Each host in turn."""
    return fleet.on(request.param)


@pytest.fixture(scope="module")
def rendered(machine: Machine, tree: Path) -> Path:
    """The tree of the host."""
    return tree / machine.name


def listed(rendered: Path) -> dict[str, Path]:
    """The rendered files and links, by their path on the host."""
    return {
        f"/{path.relative_to(rendered)}": path for path in rendered.rglob("*") if path.is_symlink() or path.is_file()
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_rendered_file_is_on_the_host_with_the_same_bytes(
    fleet: Deployment, machine: Machine, rendered: Path, tree: Path
) -> None:
    files = {
        path: file
        for path, file in listed(rendered).items()
        if not path.startswith(f"{SECRETS}/") and not path.endswith(BLOCK) and not file.is_symlink()
    }
    assert files
    told = machine.shell(f"sha256sum -- {shlex.join(files)} 2>&1 || true")
    found = {path: value for value, _, path in (line.partition("  ") for line in told.splitlines())}
    differing = [path for path, file in files.items() if found.get(path) != digest(file)]
    # Redis' own file holds its password.
    holds_a_secret = [path for path in differing if PLACEHOLDER in files[path].read_text()]
    for path in holds_a_secret:
        text = _with_placeholders(fleet, tree, machine.shell(f"cat {shlex.quote(path)}"))
        assert text == files[path].read_text()
    assert sorted(differing) == sorted(holds_a_secret)


def _with_placeholders(fleet: Deployment, tree: Path, text: str) -> str:
    """What a file of a host would be with the rendered secrets in the place of the fleet's own."""
    for path, placeholder in listed(tree / fleet.topology.main.host).items():
        if path.startswith(f"{SECRETS}/"):
            text = text.replace(fleet.shell(f"cat {shlex.quote(path)}").strip(), placeholder.read_text().strip())
    return text


def test_every_rendered_link_is_on_the_host(machine: Machine, rendered: Path) -> None:
    links = {path: str(file.readlink()) for path, file in listed(rendered).items() if file.is_symlink()}
    assert links or machine.name not in SYNAPSE_HOSTS | set(topology().hosts_of("nginx"))
    assert {path: machine.shell(f"readlink {shlex.quote(path)}").strip() for path in links} == links


def test_every_secret_has_a_placeholder_and_no_host_has_one(machine: Machine, rendered: Path) -> None:
    secrets = set(machine.shell(f"find {SECRETS} -type f 2>/dev/null || true").split())
    assert bool(secrets) == (machine.name in SYNAPSE_HOSTS)
    assert {path for path in listed(rendered) if path.startswith(f"{SECRETS}/")} == secrets
    assert machine.shell(f"grep -rl {PLACEHOLDER} {SECRETS} 2>/dev/null || true") == ""


def test_blocks_are_in_their_files(machine: Machine, rendered: Path) -> None:
    blocks = {path: file for path, file in listed(rendered).items() if path.endswith(BLOCK)}
    assert bool(blocks) == (machine.name == topology().host_of("postgres"))
    for path, file in blocks.items():
        assert file.read_text() in machine.shell(f"cat {shlex.quote(path.removesuffix(BLOCK))}")


def test_nothing_of_ours_on_the_host_is_missing(machine: Machine, rendered: Path) -> None:
    assert sorted(set(machine.shell(OURS).split()) - set(listed(rendered))) == []
