# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the release that galaxy.yml names into dist/, and checks it as Galaxy and its users would.

Usage: ``python -m tools.release``. The changelog is made in a copy: the fragments stay in the checkout until the
release is made for good (docs/development.md).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

from tools.tree import CACHE, NAME, ROOT, copy_to, files, last_commit_date
from tools.venvs import venv

DIST = ROOT / "dist"
# What a user's inventory needs and no disposable host: it is rendered with the installed tarball.
EXAMPLE = "single_host"
WANTED = ("CHANGELOG.md", "LICENSE", "README.md", "changelogs/changelog.yaml", "meta/runtime.yml", "playbooks/site.yml")
UNWANTED = ("tests/", "tools/", "molecule/", "benchmarks/", "requirements/", "changelogs/fragments/", ".")


class ReleaseError(Exception):
    """What is wrong with the release; shown as one sentence."""


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Runs a command and returns what it wrote; raises ReleaseError with it when it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env or clean(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise ReleaseError(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}")
    return done.stdout


def clean(**more: str) -> dict[str, str]:
    """Returns the environment without settings of Ansible, which would lead back into the checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {**kept, "NO_COLOR": "1", **more}


def metadata() -> dict[str, object]:
    """Returns galaxy.yml."""
    found: dict[str, object] = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    return found


def add_changelog(tree: Path, version: str) -> None:
    """Turns the fragments of a copy into CHANGELOG.md; a release that is in changelog.yaml already stays as it is."""
    released = yaml.safe_load((tree / "changelogs/changelog.yaml").read_text())["releases"]
    if version in released:
        run("antsibull-changelog", "generate", cwd=tree)
    else:
        run("antsibull-changelog", "release", "--version", version, "--date", last_commit_date(), cwd=tree)
    anchor = f'id="v{version.replace(".", "-")}"'
    if anchor not in (tree / "CHANGELOG.md").read_text():
        raise ReleaseError(f"CHANGELOG.md has no entry for {version}: check changelogs/fragments and galaxy.yml.")


def build(tree: Path, output: Path) -> Path:
    """Returns the tarball of a copy of the collection."""
    output.mkdir(parents=True, exist_ok=True)
    told = run("ansible-galaxy", "collection", "build", "--force", "--output-path", output, cwd=tree)
    return Path(told.strip().rpartition(" ")[2])


def names_in(tarball: Path) -> list[str]:
    """Returns the names of the files in a tarball."""
    with tarfile.open(tarball) as archive:
        return [member.name for member in archive.getmembers() if not member.isdir()]


def check_contents(names: list[str]) -> None:
    """Checks that users get what they need and nothing else."""
    if missing := [name for name in WANTED if name not in names]:
        raise ReleaseError(f"The tarball lacks {', '.join(missing)}: check build_ignore in galaxy.yml.")
    if unwanted := [name for name in names if name.startswith(UNWANTED)]:
        raise ReleaseError(f"The tarball has {', '.join(unwanted[:5])}: add it to build_ignore in galaxy.yml.")


def check_as_galaxy(tarball: Path, scratch: Path) -> None:
    """Runs the importer of Galaxy. It has an Ansible of its own; ansible-lint has run before, with ours."""
    home = venv("galaxy-importer", sys.executable)
    environment = clean(
        PATH=f"{home / 'bin'}:{os.environ['PATH']}",
        HOME=str(scratch),
        GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false",
    )
    told = run(home / "bin/python", "-m", "galaxy_importer.main", tarball, cwd=scratch, env=environment)
    problems = [line for line in told.splitlines() if line.startswith(("WARNING", "ERROR"))]
    if problems:
        raise ReleaseError("Galaxy's importer says:\n" + "\n".join(problems))


def check_as_user(tarball: Path, version: str, scratch: Path) -> None:
    """Installs the tarball where nothing else is, reads its documentation and renders an example with it."""
    installed = scratch / "collections"
    run("ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", installed, tarball, cwd=scratch)
    environment = clean(ANSIBLE_HOME=str(scratch / "home"), ANSIBLE_COLLECTIONS_PATH=str(installed))
    listed = run("ansible-galaxy", "collection", "list", "baremetal.synapse", cwd=scratch, env=environment)
    if version not in listed:
        raise ReleaseError(f"{version} was installed, and this is there:\n{listed}")
    for kind in ("filter", "module"):
        shown = run("ansible-doc", "--list", f"--type={kind}", "baremetal.synapse", cwd=scratch, env=environment)
        for path in (ROOT / ("plugins/modules" if kind == "module" else "plugins/filter")).glob("[!_]*.py"):
            if f"baremetal.synapse.{path.stem} " not in shown:
                raise ReleaseError(f"ansible-doc does not list the {kind} {path.stem} of the installed collection.")
    inventory = installed / NAME / "inventories" / EXAMPLE
    command = ("ansible-playbook", f"--inventory={inventory}", "baremetal.synapse.render")
    run(*command, f"--extra-vars=render_to={scratch / 'rendered'}", cwd=scratch, env=environment)
    if not list((scratch / "rendered").glob("*/etc/matrix-synapse/homeserver.yaml")):
        raise ReleaseError(f"The installed collection rendered no homeserver.yaml for inventories/{EXAMPLE}.")


def main() -> int:
    """Builds and checks; returns 1 if the release is not fit."""
    version = str(metadata()["version"])
    tree = CACHE / "release" / NAME
    try:
        copy_to(tree, files())
        add_changelog(tree, version)
        tarball = build(tree, DIST)
        shutil.copy2(tree / "CHANGELOG.md", DIST / "CHANGELOG.md")
        check_contents(names_in(tarball))
        with tempfile.TemporaryDirectory() as scratch:
            check_as_galaxy(tarball, Path(scratch))
            check_as_user(tarball, version, Path(scratch))
    except ReleaseError as problem:
        print(f"release: {problem}", file=sys.stderr)
        return 1
    print(f"release: {tarball.relative_to(ROOT)} and dist/CHANGELOG.md are fit to be released")
    return 0


if __name__ == "__main__":
    sys.exit(main())
