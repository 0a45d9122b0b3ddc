# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in of one process is what systemd reads back as it was written."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering import quoting
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.drop_in import drop_in
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit, worker_units

from tests.unit.fleets import one_host


def test_a_process_without_settings_has_an_empty_section() -> None:
    (unit,) = worker_units(one_host(generic_workers={"sync": {}}), "synapse1")
    assert drop_in({**unit, "hidden": []}, "/srv/media").splitlines()[1:] == ["[Service]"]


def test_a_process_does_not_see_the_secrets_that_it_does_not_need() -> None:
    (unit,) = worker_units(one_host(generic_workers={"sync": {}}), "synapse1")
    lines = drop_in(unit, "/srv/media").splitlines()[1:]
    assert lines[0] == "[Service]"
    assert lines[1].startswith("InaccessiblePaths=-/etc/matrix-synapse/secrets/form_secret -/etc/")
    assert "-/etc/matrix-synapse/secrets/registration_shared_secret" in lines[1].split()


def test_limits_environment_and_media_store_are_in_it() -> None:
    settings = {"memory_max": "1G", "cpu_quota": "50%", "env": {"B": "2", "A": "1 %"}}
    text = drop_in(main_unit(one_host(synapse_main_settings=settings)), "/srv/media")
    assert [line for line in text.splitlines()[1:] if line] == [
        "[Unit]",
        'RequiresMountsFor="/srv/media"',
        "[Service]",
        'ReadWritePaths="/srv/media"',
        "InaccessiblePaths=-/etc/matrix-synapse/secrets/worker_replication_secret"
        " -/etc/matrix-synapse/secrets/redis_password -/etc/matrix-synapse/secrets/pgpass",
        "CPUQuota=50%",
        "MemoryMax=1G",
        'Environment="A=1 %%"',
        'Environment="B=2"',
    ]


@pytest.mark.parametrize(
    ("value", "quoted"),
    [("plain", '"plain"'), ('a "b"', r'"a \"b\""'), ("50%", '"50%%"'), (r"a\b", r'"a\\b"'), ("a b", '"a b"')],
)
def test_special_characters_are_escaped(value: str, quoted: str) -> None:
    assert quoting.systemd(value) == quoted


@pytest.mark.parametrize("value", ["a\nExecStart=/bin/sh", "a\rb", "a\0b"])
def test_a_value_of_several_lines_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="a line break or another control character, which systemd does not read"):
        quoting.systemd(value)
