#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return whether an installed release of Synapse is whole."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_survey
short_description: Return whether an installed release of Synapse is whole
version_added: 0.2.0
description:
  - Starts the interpreter of a release, and compares the files of its packages with what their installer has recorded,
    by name and size. Nothing is read but the records, so it takes a few tenths of a second.
  - The last file that a build writes is the marker C(.complete). It names the packages, so that a missing one is found.
options:
  path:
    description: The directory of the release, a virtual environment.
    type: path
    required: true
extends_documentation_fragment:
  - baremetal.synapse.attributes.read_only
"""

EXAMPLES = r"""
- name: Look at the release
  baremetal.synapse.release_survey:
    path: /opt/matrix-synapse/current
  register: release
"""

RETURN = r"""
complete:
  description: Whether it was built to the end and nothing is missing.
  returned: success
  type: bool
damage:
  description: What is missing of a release that was built to the end, the first findings.
  returned: success
  type: list
  elements: str
packages:
  description: The packages that are there, with their versions.
  returned: success
  type: list
  elements: str
"""

import csv
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

MARKER = ".complete"
_SHOWN = 5
_VERSION = "import sys; print('python%d.%d' % sys.version_info[:2])"
_INFO = ".dist-info"


def packages(site: Path) -> list[str]:
    """Return the packages in a directory, such as ``attrs-25.1.0``."""
    return sorted(path.name[: -len(_INFO)] for path in site.glob(f"*{_INFO}"))


def lost_files(site: Path, package: str) -> list[str]:
    """Return the files of a package that are missing or have another size than was recorded."""
    record = site / f"{package}{_INFO}" / "RECORD"
    try:
        with record.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except OSError:
        return [str(record)]
    return [os.path.normpath(site / row[0]) for row in rows if len(row) == 3 and not _is_there(site, *row)]


def _is_there(site: Path, name: str, hashed: str, size: str) -> bool:
    # Without a hash: the record itself, and bytecode, which Python can do without.
    if not hashed:
        return True
    try:
        return not size or os.stat(os.path.join(site, name)).st_size == int(size)
    except OSError:
        return False


def damage(directory: Path, site: Path) -> list[str]:
    """Return what is missing of a release.

    Args:
        directory: the release.
        site: the directory of its packages.
    """
    found = packages(site)
    # The first line names the release. Releases of earlier versions of the collection have no more lines.
    recorded = (directory / MARKER).read_text(encoding="utf-8").split()[1:]
    missing = [f"package {name}" for name in recorded if name not in found]
    if not any(name.startswith("matrix_synapse-") for name in found):
        missing.append("package matrix_synapse")
    return missing + [path for name in found for path in lost_files(site, name)]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"path": {"type": "path", "required": True}}, supports_check_mode=True)
    directory = Path(module.params["path"])
    interpreter = directory / "bin" / "python"
    found: list[str] = []
    lost: list[str] = []
    built = (directory / MARKER).exists()
    code, version, _error = (
        module.run_command([str(interpreter), "-I", "-S", "-c", _VERSION])
        if os.access(interpreter, os.X_OK)
        else (1, "", "")
    )
    if code != 0:
        lost = [str(interpreter)]
    else:
        site = directory / "lib" / version.strip() / "site-packages"
        found = packages(site)
        lost = damage(directory, site) if built else []
    module.exit_json(changed=False, complete=built and not lost, damage=lost[:_SHOWN] if built else [], packages=found)


if __name__ == "__main__":
    main()
