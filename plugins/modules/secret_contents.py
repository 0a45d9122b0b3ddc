#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the secrets of a host, to copy them to another."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_contents
short_description: Read the secrets of a host, to copy them to another
version_added: 0.1.0
description:
  - Returns what the secrets of a host are, all of them in one call. M(baremetal.synapse.secret_files) writes them on
    another host.
  - Always set C(no_log) on the task. The result is the secrets.
options:
  paths:
    description: Absolute paths of the files.
    type: list
    elements: path
    required: true
attributes:
  check_mode:
    details: Files that are not there yet are left out.
extends_documentation_fragment:
  - baremetal.synapse.attributes.read_only
"""

EXAMPLES = r"""
- name: Secrets | Read those of the main host
  baremetal.synapse.secret_contents:
    paths: [/etc/matrix-synapse/secrets/form_secret]
  delegate_to: main1
  register: secrets
  no_log: true

- name: Secrets | Write copies of them
  baremetal.synapse.secret_files:
    files: [{path: /etc/matrix-synapse/secrets/form_secret, kind: token}]
    copies: "{{ secrets.contents }}"
"""

RETURN = r"""
contents:
  description: The text of each file, by its path.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule


class SecretError(Exception):
    """A secret cannot be read."""


def read(paths: list[str], check_mode: bool) -> dict[str, str]:
    """Return what the files hold, by their paths.

    Args:
        paths: absolute paths.
        check_mode: leave out what is not there.

    Raises:
        SecretError: a file is missing, cannot be read, or is empty.
    """
    contents: dict[str, str] = {}
    for path in paths:
        try:
            with open(path, encoding="ascii") as stream:
                text = stream.read()
        except FileNotFoundError:
            if check_mode:
                continue
            raise SecretError(f"{path}: the host has not made this secret yet: run the playbook on it too") from None
        except (OSError, UnicodeDecodeError) as exc:
            raise SecretError(f"{path} cannot be read: {getattr(exc, 'strerror', None) or 'it is no text'}") from None
        if not text.strip():
            raise SecretError(f"{path} is empty: put the secret back, or remove the file to have a new one made")
        contents[path] = text
    return contents


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "required": True}}, supports_check_mode=True
    )
    try:
        contents = read(module.params["paths"], module.check_mode)
    except SecretError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, contents=contents)


if __name__ == "__main__":
    main()
