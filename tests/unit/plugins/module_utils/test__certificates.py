# SPDX-License-Identifier: GPL-3.0-or-later
"""What openssl says of real certificates and keys."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.module_utils._certificates import certificates


def run(command: Sequence[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def made(folder: Path, name: str, days: str, *more: str) -> tuple[str, str]:
    """Makes a certificate with its key."""
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    code, _output, errors = run(
        [*command, f"-days={days}", "-subj=/CN=x", f"-keyout={key}", f"-out={certificate}", *more]
    )
    assert code == 0, errors
    return certificate, key


def test_certificates_and_keys_are_told_from_other_files(tmp_path: Path) -> None:
    names = "-addext=subjectAltName=DNS:example.org,DNS:*.example.org,IP:2001:db8::1"
    certificate, key = made(tmp_path, "good", "2", names)
    other = made(tmp_path, "other", "2")[1]
    link, text = tmp_path / "link.pem", tmp_path / "text"
    link.symlink_to(certificate)
    text.write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    found = certificates("openssl", [certificate, key, other, str(link), str(text), str(tmp_path), "/missing"], run)
    assert sorted(found) == sorted([certificate, key, other, str(link)])
    assert found[certificate] == found[str(link)]
    assert found[certificate]["names"] == ["example.org", "*.example.org", "2001:DB8:0:0:0:0:0:1"]
    assert not found[certificate]["expired"]
    assert found[key]["public_key"] == found[certificate]["public_key"] != found[other]["public_key"]
    assert certificates("", [certificate], run) == {}


def test_an_expired_certificate_is_told(tmp_path: Path) -> None:
    certificate, _key = made(tmp_path, "old", "1")
    assert not certificates("openssl", [certificate], run)[certificate]["expired"]
    # -checkend asks whether it will have expired in so many seconds.
    soon = certificates("openssl", [certificate], lambda command: run([*command[:-1], str(10 * 86400)]))
    assert soon[certificate]["expired"]
