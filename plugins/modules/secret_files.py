#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Generate secrets on the host, once, as files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_files
short_description: Generate secrets on the host, once, as files
version_added: 0.1.0
description:
  - Makes each secret that is not there yet, on the host itself. It never leaves the host and is never printed.
  - The content of an existing file is never returned, and never changed but for those in O(rotated). Only its owner,
    group and mode are kept in order.
  - With O(copies), nothing is made. The files are copies of another host's secrets instead, and follow them.
  - C(playbooks/render.yml) writes placeholders instead, which are public. One that is found on a host is refused.
options:
  files:
    description: The secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the file. Its directory must exist.
        type: path
        required: true
      kind:
        description:
          - V(token) is 256 random bits in 43 characters of letters, digits, C(-) and C(_).
          - V(signing_key) is an ed25519 key in the form that Synapse reads.
          - V(pgpass) is a libpq password file with one random password for every server, database and user.
        type: str
        choices: [token, signing_key, pgpass]
        required: true
      mode:
        description: Permissions, as four octal digits in quotes.
        type: str
        default: "0400"
      name:
        description: What the secret is called. It only helps the reader.
        type: str
  copies:
    description:
      - What each file holds, by its path, as M(baremetal.synapse.secret_contents) returns it on the host that has made
        the secrets.
      - In check mode, a secret may be missing here, because the other host has not made it yet.
    type: dict
  given:
    description:
      - What files are to hold that are made on this host, by their paths; the others get random secrets.
      - A file that is there and holds something else is replaced if O(rotated) has it, and else refused.
    type: dict
    version_added: 0.2.0
  rotated:
    description: Paths of files that O(given) may replace.
    type: list
    elements: path
    default: []
    version_added: 0.2.0
  owner:
    description: Name of the owner of the files.
    type: str
    default: root
  group:
    description: Name of the group that owns the files.
    type: str
    default: root
attributes:
  check_mode:
    details: Owner, group and directory need not exist yet.
  diff_mode:
    details: Shows which secrets are made, never their content.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Secrets | Generate what is missing
  baremetal.synapse.secret_files:
    owner: matrix-synapse
    group: matrix-synapse
    files:
      - path: /etc/matrix-synapse/secrets/signing.key
        kind: signing_key
      - path: /etc/matrix-synapse/secrets/form_secret
        kind: token
"""

RETURN = r"""
created_paths:
  description: Secrets that were made, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/secrets/form_secret]
changed_paths:
  description:
    - Secrets that were there and got their owner, group or mode set right, or would get it; with O(copies), also those
      that differed from the other host's, and with O(given), those that were replaced.
  returned: success
  type: list
  elements: str
  sample: []
"""

import base64
import contextlib
import grp
import os
import pwd
import re
import secrets
import stat
import string
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import (
    ARGUMENT_SPEC,
    LONGEST,
    is_placeholder,
)


class SecretError(Exception):
    """A secret cannot be made or kept."""


class Given:
    """Contents of secrets that were not made here.

    Args:
        contents: what files are to hold, by their paths.
        rotated: the paths of those that may replace what is there.
    """

    def __init__(self, contents: Mapping[str, str] | None = None, rotated: Sequence[str] = ()) -> None:
        self.contents = contents or {}
        self._rotated = rotated

    def replacement(self, path: str) -> str | None:
        """Return what replaces the content of a file that is there; None if it stays."""
        wanted = self.contents.get(path)
        # Who has put a file there by hand may have left white space, which no program counts.
        if wanted is None or _content(path).strip() == wanted.strip().encode():
            return None
        if path not in self._rotated:
            raise SecretError(f"{path} holds another secret than the one that is given, and rotated does not name it")
        return wanted


def generate(kind: str) -> str:
    """A new secret, as the text of its file."""
    token = secrets.token_urlsafe(32)
    if kind == "signing_key":
        version = "a_" + "".join(secrets.choice(string.ascii_letters) for _ in range(4))
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        return f"ed25519 {version} {seed}\n"
    if kind == "pgpass":
        return f"*:*:*:*:{token}\n"
    return f"{token}\n"


def ensure(
    files: list[dict[str, Any]],
    owner: str,
    group: str,
    check_mode: bool,
    copies: Mapping[str, str] | None = None,
    given: Given | None = None,
) -> tuple[list[str], list[str]]:
    """Make or copy what is missing and set attributes right; the paths that were created, and those set right.

    Args:
        files: the secrets, as the module's option of that name has them.
        owner: name of the owner.
        group: name of the group that owns them.
        check_mode: change nothing.
        copies: the content of each by its path; None to make what is missing.
        given: the contents of some that are made here; None for none.

    Raises:
        SecretError: a secret cannot be made, copied or kept.
    """
    uid, gid = _ids(owner, group, check_mode)
    given = given or Given()
    created: list[str] = []
    changed: list[str] = []
    for file in files:
        path, mode = file["path"], file["mode"]
        _check_mode(path, mode)
        wanted = given.contents.get(path) if copies is None else copies.get(path)
        if copies is not None and not wanted and not check_mode:
            raise SecretError(
                f"{path}: the host that makes the secrets has given none: run the playbook on that host too"
            )
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            created.append(path)
            if not check_mode:
                create(path, wanted or generate(file["kind"]), int(mode, 8), uid, gid)
            continue
        if copies is None:
            _refuse_no_secret(path, found)
            wanted = given.replacement(path)
        if wanted is not None and (not stat.S_ISREG(found.st_mode) or _content(path) != wanted.encode()):
            changed.append(path)
            if not check_mode:
                create(path, wanted, int(mode, 8), uid, gid, replace=True)
            continue
        if (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) != (uid, gid, int(mode, 8)):
            changed.append(path)
            if not check_mode:
                os.chown(path, uid, gid)
                os.chmod(path, int(mode, 8))
    return created, changed


def _check_mode(path: str, mode: str) -> None:
    if not re.fullmatch(r"0[0-7]{3}", mode):
        raise SecretError(f'{path}: mode {mode!r} is not four octal digits in quotes, such as "0400"')


def _refuse_no_secret(path: str, found: os.stat_result) -> None:
    """Refuse an unusable secret: only the operator can restore it."""
    if not stat.S_ISREG(found.st_mode):
        raise SecretError(
            f"{path} is no regular file: put the secret there as a file, or remove it to have a new one made"
        )
    if found.st_size == 0:
        raise SecretError(f"{path} is empty: put the secret back, or remove the file to have a new one made")
    if found.st_size <= LONGEST and is_placeholder(_content(path)):
        raise SecretError(
            f"{path} holds a placeholder of playbooks/render.yml, which is no secret: put the secret back, or "
            "remove the file to have a new one made"
        )


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _ids(owner: str, group: str, check_mode: bool) -> tuple[int, int]:
    uid: int | None = None
    gid: int | None = None
    with contextlib.suppress(KeyError):
        uid = pwd.getpwnam(owner).pw_uid
    with contextlib.suppress(KeyError):
        gid = grp.getgrnam(group).gr_gid
    if uid is None or gid is None:
        # In check mode, an earlier task of the run would have made them.
        if not check_mode:
            raise SecretError(f"this host lacks the user {owner!r} or the group {group!r}: create them first")
        return -1, -1
    return uid, gid


def create(path: str, text: str, mode: int, uid: int, gid: int, *, replace: bool = False) -> None:
    """Bring the file into being whole; over an existing one only where it is to be replaced."""
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.chown(temporary, uid, gid)
        os.chmod(temporary, mode)
        if replace:
            os.replace(temporary, path)
            return
        os.link(temporary, path)
        os.unlink(temporary)
    except OSError as exc:
        raise SecretError(f"{path}: {exc.strerror}") from exc


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    try:
        created, changed = ensure(
            params["files"],
            params["owner"],
            params["group"],
            module.check_mode,
            params["copies"],
            Given(params["given"], params["rotated"]),
        )
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    result: dict[str, Any] = {"changed": bool(created or changed), "created_paths": created, "changed_paths": changed}
    if module._diff:
        replaced = changed if params["copies"] is not None else params["rotated"]
        lines = [f"+ new secret {path}\n" for path in created] + [
            f"~ {'content, ' if path in replaced else ''}owner, group or mode of {path}\n" for path in changed
        ]
        result["diff"] = [{"prepared": "".join(lines)}] if lines else []
    module.exit_json(**result)


if __name__ == "__main__":
    main()
