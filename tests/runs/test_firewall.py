# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall comes with the first private port and goes with the last one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.runs import Fleet, Run, disposable_fleet

PLAYBOOK = str(Path(__file__).with_name("firewall.yml"))

ADDRESS = "10.88.251.20"
FILES = (
    "ls /etc/matrix-synapse-firewall.nft /etc/systemd/system/*matrix-synapse-firewall* /etc/systemd/system/*/*firewall*"
)
TABLES = "nft list tables"
OURS = "table inet matrix_synapse"
OPERATORS = "table inet operator"


@pytest.fixture(scope="module")
def bare() -> Iterator[Fleet]:
    """A host on which nothing is installed, whose processes are to listen on its address."""
    with disposable_fleet(
        "monolith",
        machine="runs-firewall",
        address=ADDRESS,
        variables={"synapse_transport": "tcp", "synapse_address": ADDRESS},
    ) as fleet:
        yield fleet


def run(fleet: Fleet, *arguments: str) -> Run:
    """Does what site.yml does for the firewall."""
    return fleet.run(*arguments, playbook=PLAYBOOK)


def test_it_comes_and_goes_with_what_it_protects(bare: Fleet) -> None:
    """In check mode nothing happens, the second run changes nothing, and nothing is left at the end."""
    bare.shell(f"nft add {OPERATORS}")
    told = run(bare, "--check", "--diff")
    assert told.code == 0, told.output
    assert told.changed == 1
    assert f"ip daddr {ADDRESS} tcp dport 5432 drop" in told.output
    assert OURS not in bare.shell(TABLES)

    first, second = run(bare), run(bare)
    assert (first.code, first.changed, second.code, second.changed) == (0, 2, 0, 0), first.output + second.output
    assert bare.shell(TABLES).splitlines() == [OPERATORS, OURS]
    assert len(bare.shell(FILES).split()) == 4  # rules, unit, drop-in, and the link that enables the unit

    bare.set_variables(synapse_transport="auto")
    told = run(bare, "--check", "--diff")
    assert (told.code, told.changed) == (0, 2), told.output
    assert OURS in bare.shell(TABLES)
    # As a run leaves it that is cut off between the two tasks that remove it.
    bare.shell("systemctl disable --now matrix-synapse-firewall")
    last, after = run(bare), run(bare)
    assert (last.code, after.code, after.changed) == (0, 0, 0), last.output + after.output
    assert bare.shell(TABLES).splitlines() == [OPERATORS]
    assert bare.shell(FILES, check=False) == ""


def test_rules_that_nft_does_not_take_are_not_written(bare: Fleet) -> None:
    """What is there stays; here nft itself is away."""
    bare.set_variables(synapse_transport="tcp")
    assert run(bare).code == 0
    before = bare.shell(f"{TABLES}; cat /etc/matrix-synapse-firewall.nft")
    bare.set_variables(synapse_metrics_allowed=["192.0.2.0/24"])
    bare.shell("dpkg-divert --quiet --local --rename --divert /usr/sbin/nft.away --add /usr/sbin/nft")
    bare.shell("ln -s /bin/false /usr/sbin/nft")
    assert run(bare).code != 0
    bare.shell("rm /usr/sbin/nft && dpkg-divert --quiet --local --rename --remove /usr/sbin/nft")
    assert bare.shell(f"{TABLES}; cat /etc/matrix-synapse-firewall.nft") == before
