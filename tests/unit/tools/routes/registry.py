# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe as a module: it lies among the files that a role copies, which are no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[4] / "roles" / "audit" / "files" / "registry_probe.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("registry_probe", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its classes look themselves up here.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


probe: Any = _load()
