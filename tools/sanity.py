# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs `ansible-test sanity` on what users get: the files of the tarball, in a copy of their own.

Usage: ``python -m tools.sanity [TEST …]``. ansible-test keeps an environment for each of its tests below .cache/sanity,
made once; without containers, with the Python that runs this.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from ansible.release import __version__ as ansible_version

from tools.release import ReleaseError, build, clean
from tools.tree import CACHE, NAME, copy_to, files, make_repository

HOME = CACHE / "sanity" / "home"
TREE = CACHE / "sanity" / NAME
# Tests that do not run, each with its reason.
SKIPPED = {
    "changelog": "antsibull-changelog lint runs in tools/lint, in a newer version than ansible-test pins",
    "no-assert": "mypy takes asserts as proofs in modules; Ansible never runs them with python -O",
    "pep8": "ruff format decides on style",
    "pslint": "there is no PowerShell",
    "pylint": "ruff's PL rules and mypy cover it; it takes 60 s and forbids the name _",
    "shellcheck": "there is no shell script, and shellcheck is no package of PyPI",
    "yamllint": "yamllint runs in tools/lint, with our rules",
}
# Findings in single files that are meant to be so, each with its reason. ansible-test fails when one is not found.
IGNORED = {
    ("plugins/module_utils/_fingerprint.py", "shebang"): "is installed on hosts as a program, too",
    ("roles/firewall/templates/firewall.nft.j2", "shebang"): "is a program for nft on the hosts",
    ("roles/nginx/files/nginx_config.py", "shebang"): "is installed on hosts as a program",
}
# ansible-test makes environments without pip, and would download pip's installer. Python brings one.
_GET_PIP = "import ensurepip\n\nensurepip.bootstrap()\n"
_PIP_VERSION = "24_2"


def prepare_tree() -> None:
    """Unpacks a tarball of the checkout to where ansible-test wants a collection."""
    checkout = CACHE / "sanity" / "checkout" / NAME
    copy_to(checkout, files())
    tarball = build(checkout, CACHE / "sanity")
    shutil.rmtree(TREE, ignore_errors=True)
    with tarfile.open(tarball) as archive:
        archive.extractall(TREE, filter="data")
    series = ".".join(ansible_version.split(".")[:2])
    ignore = TREE / "tests" / "sanity" / f"ignore-{series}.txt"
    ignore.parent.mkdir(parents=True)
    ignore.write_text("".join(f"{path} {test}  # {reason}\n" for (path, test), reason in IGNORED.items()))
    make_repository(TREE)


def prepare_home() -> dict[str, str]:
    """Returns an environment in which ansible-test writes below .cache."""
    installer = HOME / ".ansible" / "test" / "cache" / f"get_pip_{_PIP_VERSION}.py"
    installer.parent.mkdir(parents=True, exist_ok=True)
    installer.write_text(_GET_PIP)
    settings = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    # pip's settings stay where they are; an index may be set there.
    return clean(HOME=str(HOME), XDG_CONFIG_HOME=settings, LC_ALL="C.UTF-8")


def main() -> int:
    """Runs the tests; returns the exit code of ansible-test."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = [argument for test in sys.argv[1:] for argument in ("--test", test)]
    skipped = [argument for test in SKIPPED for argument in ("--skip-test", test)]
    try:
        prepare_tree()
    except ReleaseError as problem:
        print(f"sanity: {problem}", file=sys.stderr)
        return 1
    command = ["ansible-test", "sanity", "--color", "no", "--python", python, *(chosen or skipped)]
    return subprocess.run(command, cwd=TREE, env=prepare_home(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
