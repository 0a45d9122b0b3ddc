# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs unit tests, ansible-lint and rendering with the oldest and the newest ansible-core that the collection supports.

Usage: ``python -m tools.test_ansible [oldest] [newest]``. Each version runs in a copy of the checkout, with a virtual
environment from requirements/ansible-VERSION.txt. The unit tests compare what it renders with the golden files.
The newest ansible-core needs a newer Python than Debian 12 has: a disposable Debian 13 host serves where there is none.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.hosts import access, host
from tools.tree import CACHE, NAME, ROOT, copy_to, files
from tools.venvs import venv

# The Pythons that each version may run with; the first one that is there is taken.
PYTHONS = {"oldest": ("3.11", "3.12", "3.13"), "newest": ("3.13", "3.12")}
# Rendered once more, to see whether Ansible warns of something; its deprecations are warnings.
INVENTORY = "cluster"
COLLECTIONS = ("community/crypto",)
SUITE, ADDRESS = "trixie", "10.88.105.10"
ON_HOST = "/root/synapse"
APT_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"

Run = Callable[[list[str]], str]


class VersionError(Exception):
    """A version does not work; shown with the output of what failed."""


def find_python(versions: tuple[str, ...]) -> str | None:
    """Returns an interpreter of one of these versions: our own, one of PATH, or one that pyenv has."""
    for version in versions:
        installed = sorted(glob.glob(f"{os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')}/versions/{version}.*"))
        candidates = [sys.executable, f"python{version}", *(f"{path}/bin/python" for path in installed)]
        for candidate in candidates:
            # A command of this name may be there and start no Python, as those that pyenv makes.
            told = subprocess.run(
                ["sh", "-c", f"{shlex.quote(candidate)} -c 'import sys; print(sys.version_info[:2], sys.executable)'"],
                capture_output=True,
                text=True,
                check=False,
            ).stdout.strip()
            wanted, _, executable = told.rpartition(" ")
            if wanted == f"({version.replace('.', ', ')})":
                return os.path.realpath(executable)
    return None


def prepare(version: str) -> Path:
    """Returns a copy of the checkout with the collections that it depends on."""
    tree = CACHE / "test-ansible" / version
    copy_to(tree, files())
    collections = tree / ".ansible/collections/ansible_collections"
    ours = collections / NAME.relative_to("ansible_collections")
    ours.parent.mkdir(parents=True)
    ours.symlink_to("../../../..")
    site = next((ROOT / ".venv/lib").glob("python3.*/site-packages/ansible_collections"))
    for name in COLLECTIONS:
        shutil.copytree(site / name, collections / name)
    return tree


def here(tree: Path, home: Path) -> Run:
    """Returns what runs a command in a copy, with a virtual environment."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment = {**kept, "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    environment["ANSIBLE_CONFIG"] = str(tree / "ansible.cfg")

    def run(command: list[str]) -> str:
        return finished(command, cwd=tree, env=environment)

    return run


def there(address: str) -> Run:
    """Returns what runs a command in the copy on a disposable host."""

    def run(command: list[str]) -> str:
        line = f"cd {ON_HOST} && env PATH=/root/venv/bin:$PATH NO_COLOR=1 LC_ALL=C.UTF-8 {shlex.join(command)}"
        return finished(["ssh", "-F", str(access.CONFIG), address, line])

    return run


def finished(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a command and returns its output; raises VersionError with the end of it when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise VersionError(f"`{shlex.join(command)}` failed:\n{done.stdout[-6000:]}")
    return done.stdout


def check(run: Run) -> str:
    """Runs everything in a prepared copy and returns what Ansible calls itself."""
    name = run(["ansible", "--version"]).splitlines()[0]
    # Random examples are about our own code; a few of them show that it runs with this version.
    run(["env", "FUZZ=0.05", "pytest", "-q", "-p", "no:cacheprovider"])
    run(["ansible-lint", "--offline", "--strict"])
    render = ["ansible-playbook", f"--inventory=inventories/{INVENTORY}", "playbooks/render.yml"]
    output = run([*render, "--extra-vars=render_to=.cache/rendered"])
    if "WARNING" in output:
        raise VersionError(f"{name} warns when it renders inventories/{INVENTORY}:\n{output[-6000:]}")
    return name


def check_here(version: str, tree: Path, python: str) -> str:
    """Runs everything on this machine."""
    return check(here(tree, venv(f"ansible-{version}", python)))


def check_on_host(version: str, tree: Path) -> str:
    """Runs everything on a disposable host, which needs its own virtual environment."""
    name = f"ansible-{version}"
    host.up(name, SUITE, ADDRESS)
    try:
        ssh = f"ssh -F {shlex.quote(str(access.CONFIG))} {ADDRESS}"
        unpack = f"{ssh} 'mkdir {ON_HOST} && tar -C {ON_HOST} -xf -'"
        finished(["sh", "-c", f"tar -C {shlex.quote(str(tree))} -cf - . | {unpack}"])
        run = there(ADDRESS)
        run(["sh", "-c", f"apt-get update -qq && {APT_INSTALL} python3-venv"])
        run(["python3", "-m", "venv", "/root/venv"])
        run(["pip", "install", "--quiet", "--require-hashes", "-r", "requirements/bootstrap.txt"])
        sync = ["uv", "pip", "sync", "--quiet", "--require-hashes", f"requirements/{name}.txt"]
        run(["env", "VIRTUAL_ENV=/root/venv", *sync])
        return check(run)
    finally:
        host.down(name)


def test(version: str) -> bool:
    """Tests a version, says how it went, and returns whether it went well."""
    started = time.monotonic()
    try:
        tree = prepare(version)
        python = find_python(PYTHONS[version])
        name = check_here(version, tree, python) if python else check_on_host(version, tree)
    except VersionError as problem:
        print(f"test-ansible: {version}: FAILED: {problem}", flush=True)
        return False
    where = python or f"Python of a Debian 13 host ({SUITE})"
    print(f"test-ansible: {version}: fine: {name}, {where} ({time.monotonic() - started:.0f} s)", flush=True)
    return True


def main() -> int:
    """Tests all versions side by side; returns 1 if one of them fails."""
    versions = sys.argv[1:] or list(PYTHONS)
    with ThreadPoolExecutor() as pool:
        return 0 if all(list(pool.map(test, versions))) else 1


if __name__ == "__main__":
    sys.exit(main())
