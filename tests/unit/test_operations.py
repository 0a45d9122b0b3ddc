# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/operations.md says is what the collection does."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout

from tools.docs_tables import ROOT

NGINX = (
    layout.NGINX_DRAFT_DIR,
    layout.NGINX_MAIN_CONF,
    layout.NGINX_HTTP_CONF,
    layout.NGINX_SITE,
    layout.NGINX_SITE_LINK["path"],
    layout.NGINX_OLD_SITE_LINK,
    layout.NGINX_WELL_KNOWN,
)


@pytest.mark.parametrize("path", NGINX)
def test_the_removal_of_synapse_leaves_nginx_no_file_of_ours(path: str) -> None:
    """One that is left refers to others that are gone, and nginx does not start any more."""
    text = (ROOT / "docs" / "operations.md").read_text().partition("To remove Synapse from a host")[2]
    block = text.partition("```console\n")[2].partition("```")[0].replace("\\\n", " ")
    removed = [word for line in re.findall(r"^# rm (.*)", block, re.MULTILINE) for word in line.split()]
    assert any(fnmatchcase(path, pattern) for pattern in removed)
