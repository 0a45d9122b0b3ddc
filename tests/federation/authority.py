# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of the tests' own."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path

# Without it, openssl would add the extensions of its own defaults, which make every certificate an authority.
_CONFIG = "[req]\ndistinguished_name = name\n[name]\n"


class Authority:
    """Signs certificates for the names of servers, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "openssl.cnf").write_text(_CONFIG)
        self.path = self._make("ca", "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")[0]
        """Its own certificate."""

    def certificate(self, *names: str) -> tuple[Path, Path]:
        """Returns a certificate for names and addresses, and its key."""
        kinds = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
        signed = ["-CA", str(self._folder / "ca.pem"), "-CAkey", str(self._folder / "ca.key")]
        return self._make(names[0], f"subjectAltName={kinds}", "basicConstraints=CA:FALSE", arguments=signed)

    def _make(self, name: str, *extensions: str, arguments: list[str] | None = None) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        command = ["openssl", "req", "-x509", "-config", str(self._folder / "openssl.cnf"), "-days", "30", "-noenc"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"]
        for extension in extensions:
            command += ["-addext", extension]
        command += [*(arguments or []), "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
