# SPDX-License-Identifier: GPL-3.0-or-later
"""What is computed, as the text of a file.

Filters return whole texts: Ansible wraps every mapping and list that a filter returns, and to_nice_yaml unwraps them
again, which costs several times what this does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

_LINE = 160
# libyaml's where PyYAML was built with it; both print the same.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def as_yaml(value: Mapping[str, Any]) -> str:
    """Returns a YAML document in block style, with its keys in order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, indent=4, width=_LINE, allow_unicode=True, default_flow_style=False, sort_keys=True
    )
    return text


def as_json(value: Mapping[str, Any]) -> str:
    """Returns a JSON document with one value a line and its keys in order."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


__all__ = ("as_json", "as_yaml")
