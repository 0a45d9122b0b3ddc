# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Synapse's own options: texts that no file can hold, and files that the units of Synapse do not see.

Synapse reads files when it starts, so a path that its unit does not see ends the process. Whether a file is there and
can be read, Synapse is asked on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .errors import HIDDEN, TopologyError
from .layout import CONFIG_DIR
from .paths import hidden_problem
from .texts import unprintable, well_known

_WELL_KNOWN = "extra_well_known_client_content"
_NAMES = ("directory", "filename", "file_path", "template_dir")
_ENDINGS = ("_path", "_paths", "_file", "_files", "_dir", "_dirs", "_directory", "_directories")
# Lists of files whose names do not say it: Synapse's config/tls.py, and pysaml2's metadata.
_LISTS = ("federation_custom_ca_list", "local")
# What is below belongs to modules, whose options may mean anything.
_OF_MODULES = ("modules", "password_providers", "spam_checker", "third_party_event_rules", "experimental_features")


def hidden_files(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Returns the options that name a file which the units of Synapse do not see.

    Args:
        config: options of homeserver.yaml.
        path: the name of the option that has them, with a full stop; empty for the whole file.

    Yields:
        The name of the option, with those around it, and the path.
    """
    for name, value in config.items():
        if not path and name in _OF_MODULES:
            continue
        yield from _hidden_in(str(name), value, f"{path}{name}")


def _hidden_in(name: str, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from hidden_files(value, f"{path}.")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _hidden_in(name, entry, f"{path}[{index}]")
    elif isinstance(value, str) and _names_a_file(name) and hidden_problem(value, "") is not None:
        yield path, value


def _names_a_file(name: str) -> bool:
    return name in _NAMES or name in _LISTS or name.endswith(_ENDINGS)


def check_option_paths(variable: str, config: Mapping[str, Any], host: str | None = None) -> Iterator[TopologyError]:
    """Refuses options that name a file which the units of Synapse do not see.

    Args:
        variable: the variable that has the options.
        config: the options.
        host: the host whose variable it is, if it is not the same everywhere.
    """
    for name, path in hidden_files(config):
        problem = hidden_problem(path, f"{CONFIG_DIR}/{path.rsplit('/', 1)[-1]}, and put the file there")
        if problem is not None:
            reason, fix = problem
            yield TopologyError(f"{variable}.{name}", path, reason, fix, host)


def check_option_texts(variable: str, config: Mapping[str, Any], host: str | None = None) -> Iterator[TopologyError]:
    """Refuses what cannot be printed: into a file in UTF-8, or into nginx's answers. Values may be secrets."""
    for name in unprintable(config):
        yield TopologyError(
            f"{variable}.{name}" if name else variable,
            HIDDEN,
            "it has a half of a surrogate pair, which no file in UTF-8 can hold",
            "Write the character itself.",
            host,
        )
    added = config.get(_WELL_KNOWN)
    problem = well_known(added) if added is not None else None
    if problem is not None:
        yield TopologyError(f"{variable}.{_WELL_KNOWN}", HIDDEN, *problem, host=host)


__all__ = ("check_option_paths", "check_option_texts", "hidden_files")
