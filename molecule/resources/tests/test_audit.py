# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/audit.yml judges what is deployed, and notices what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment
from tests.support.playbooks import SOURCES, ansible
from tools.inventory import load_topology

HTTP_CONF = "/etc/nginx/conf.d/matrix-synapse.conf"
KEPT = "/root/matrix-synapse.conf.kept"
# Whatever a run could leave behind.
TRACES = (
    f"sha256sum {HTTP_CONF} /etc/nginx/sites-available/matrix-synapse; find /etc/matrix-synapse /opt/matrix-synapse"
    " -newermt @{} ! -type d; ls -d /tmp/replay-* /tmp/registry-probe-* 2>/dev/null; pgrep -cx nginx"
)
DUTIES = {duty for worker in load_topology(*SOURCES).workers for duty in worker.duties}
pytestmark = pytest.mark.skipif(
    not {"typing", "client_reader", "sso"} <= DUTIES, reason="one scenario with every duty is enough"
)


@pytest.fixture
def wrong_table(fleet: Deployment) -> Iterator[None]:
    """A deployed file that sends typing to a reader; nginx has not loaded it."""
    fleet.shell(f'cp -a {HTTP_CONF} {KEPT} && sed -i \'s/"synapse_typing";/"synapse_client_reader";/\' {HTTP_CONF}')
    yield
    fleet.shell(f"mv {KEPT} {HTTP_CONF}")


def test_what_is_deployed_is_right_and_stays_as_it_is(fleet: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    now = fleet.shell("date +%s").strip()
    before = fleet.shell(TRACES.format(now) + " || true")
    run = ansible("ansible-playbook", "baremetal.synapse.audit")
    table = [match[0] for line in run.stdout.splitlines() if (match := re.search(r"\|.*\|", line))]
    with capsys.disabled():
        print("\n" + "\n".join(table))
    assert run.returncode == 0, run.stdout[-3000:]
    assert re.search(r"changed=0 .*failed=0", run.stdout)
    counts = [int(cell) for cell in table[2].split("|")[3:-1]]
    assert counts[:5] == [0, 0, 0, 0, 0]
    assert len(table) > 20
    assert fleet.shell(TRACES.format(now) + " || true") == before


@pytest.mark.usefixtures("wrong_table")
def test_a_write_that_does_not_reach_its_writer_is_noticed() -> None:
    run = ansible("ansible-playbook", "baremetal.synapse.audit")
    assert run.returncode != 0
    assert re.search(
        r"write at a non-writer: PUT \S+/typing/\S+ writes typing and went to \S+-client_reader-1", run.stdout
    )
    assert "Run site.yml" in run.stdout
