# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx, and other programs of Debian, for tests and benchmarks: unpacked below .cache/, never installed.

Installing nginx would start a service that listens on port 80 of the developer's machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_CACHE = Path(__file__).resolve().parent.parent / ".cache"


class MissingProgramError(Exception):
    """A program can be neither found nor unpacked; the message is one sentence with the reason."""


def nginx_binary() -> Path:
    """Returns an nginx that starts: the one in PATH, else Debian's, unpacked.

    Raises:
        MissingProgramError: there is none, and none can be unpacked.
    """
    # Debian keeps it where only root's PATH leads to.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found:
        return Path(found)
    return unpacked("nginx", "usr/sbin/nginx", arguments=("-V",))


def unpacked(
    package: str, program: str, *, libraries: tuple[str, ...] = (), arguments: tuple[str, ...] | None = None
) -> Path:
    """Returns a program of a Debian package that is unpacked below .cache/, once for all processes.

    Args:
        package: the package, which gives its folder in .cache/ the name.
        program: the program's path within the package.
        libraries: packages of shared libraries that Debian does not always have installed. They are unpacked next to
            it; the caller sets LD_LIBRARY_PATH to ``library_path(package)``.
        arguments: arguments with which it has to succeed, as a proof that it runs here.

    Raises:
        MissingProgramError: it cannot be downloaded or does not run.
    """
    folder = _CACHE / package
    target = folder / program
    _CACHE.mkdir(exist_ok=True)
    with (_CACHE / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _unpack((package, *libraries), folder)
        if not target.exists():
            raise MissingProgramError(f"Debian's package {package} has no /{program}; install {package}.")
        if arguments is not None:
            _run(str(target), *arguments, why=f"{package} was unpacked below .cache/, but does not run here")
    return target


def library_path(package: str) -> str:
    """Returns the value of LD_LIBRARY_PATH for what ``unpacked`` put next to a program; ':' between folders."""
    return ":".join(str(path) for path in sorted((_CACHE / package / "usr" / "lib").glob("*-linux-gnu*")))


def _unpack(packages: tuple[str, ...], folder: Path) -> None:
    for command in ("apt-get", "dpkg"):
        if shutil.which(command) is None:
            raise MissingProgramError(f"{packages[0]} is needed, and without {command} it cannot be unpacked.")
    # Moved in one step, so that the folder is never incomplete.
    with tempfile.TemporaryDirectory(dir=_CACHE, prefix=f"{packages[0]}.") as scratch:
        _download(packages, Path(scratch))
        root = Path(scratch) / "root"
        for archive in sorted(Path(scratch).glob("*.deb")):
            _run("dpkg", "-x", str(archive), str(root), why=f"{archive.name} cannot be unpacked")
        root.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        root.rename(folder)


def _download(packages: tuple[str, ...], folder: Path) -> None:
    # Its own user for downloads could not write into the folder, and apt-get would warn.
    download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages)
    why = f"{packages[0]} is neither installed nor can it be downloaded"
    try:
        _run(*download, why=why, folder=folder)
    except MissingProgramError:
        # The lists of packages are missing, or name a version that is gone. Only root may fetch them.
        if os.geteuid() != 0:
            raise
        _run("apt-get", "-q", "update", why=why)
        _run(*download, why=why, folder=folder)


def _run(*command: str, why: str, folder: Path | None = None) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        words = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise MissingProgramError(f"{why}: {words[-1] if words else f'exit code {result.returncode}'}")
