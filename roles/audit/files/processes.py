# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what the Synapse processes of this host are configured to serve, as JSON, without any secret.

Runs with the Python of Synapse's release, which has yaml. Arguments: homeserver.yaml, main.yaml, the directory of the
workers' files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_SHARED = ("stream_writers", "enable_media_repo")
_OWN = ("worker_name", "worker_listeners", "listeners", "enable_media_repo")


def read(path: Path) -> dict[str, Any]:
    """Returns the content of a file of YAML."""
    with path.open(encoding="utf-8") as file:
        return dict(yaml.safe_load(file) or {})


def uses_mas(shared: dict[str, Any]) -> bool:
    """Returns whether logins are left to Matrix Authentication Service."""
    features = shared.get("experimental_features") or {}
    options = (shared.get("matrix_authentication_service"), features.get("msc3861"))
    return any(isinstance(option, dict) and option.get("enabled") is True for option in options)


def main() -> None:
    """Prints the parts of the files that assign requests to processes."""
    homeserver, main_file, workers = (Path(argument) for argument in sys.argv[1:])
    shared = read(homeserver)
    own = [path for path in (main_file, *sorted(workers.glob("*.yaml"))) if path.is_file()]
    document = {
        "mas": uses_mas(shared),
        "shared": {name: shared[name] for name in _SHARED if name in shared},
        "own": [{name: value for name, value in read(path).items() if name in _OWN} for path in own],
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
