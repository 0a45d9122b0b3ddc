# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of a host, from what pg_lsclusters and they themselves say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.baremetal.synapse.plugins.module_utils._postgres_clusters import clusters

CONTENT = {"databases": {"shop": {}}, "hba_errors": []}
ANSWER = f"[]\n{json.dumps(CONTENT)}\n"


class Psql:
    """Answers as psql, and notes what it was asked."""

    def __init__(self, code: int = 0, answer: str = ANSWER) -> None:
        self.code, self.answer = code, answer
        self.commands: list[list[str]] = []

    def __call__(self, words: list[str], **_more: Any) -> tuple[int, str, str]:
        self.commands.append(words)
        return self.code, self.answer, ""


def found(line: str, tmp_path: Path, psql: Psql | None = None) -> list[dict[str, Any]]:
    return clusters(f"{line}\n", psql or Psql(), tmp_path / "etc", tmp_path / "lib")


def test_a_cluster_has_the_port_that_it_listens_on_and_is_asked_there(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("123\n/data\n1700000000\n5433\n/run/postgresql\n")
    psql = Psql()
    line = f"17 main 5432 online postgres {tmp_path} /var/log/postgresql/postgresql-17-main.log"
    (cluster,) = found(line, tmp_path, psql)
    content = {"files": [], **CONTENT}
    assert cluster == {
        "version": "17",
        "name": "main",
        "port": 5433,
        "running": True,
        "ours": False,
        "content": content,
    }
    assert psql.commands[0][4] == "/usr/lib/postgresql/17/bin/psql"
    assert psql.commands[0][psql.commands[0].index("-p") + 1] == "5433"


def test_a_cluster_that_does_not_run_has_the_port_of_its_configuration(tmp_path: Path) -> None:
    psql = Psql()
    line = f"15 old 5434 down,recovery postgres {tmp_path} /var/log/postgresql/postgresql-15-old.log"
    (cluster,) = found(line, tmp_path, psql)
    assert (cluster["port"], cluster["running"], cluster["content"]) == (5434, False, None)
    assert psql.commands == []


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    (cluster,) = found(f"17 main 5432 online postgres {tmp_path} /log", tmp_path, Psql(2, ""))
    assert cluster["running"]
    assert cluster["content"] is None


def test_a_cluster_with_our_settings_is_recognised(tmp_path: Path) -> None:
    file = tmp_path / "etc/17/main/conf.d/matrix-synapse.conf"
    file.parent.mkdir(parents=True)
    file.touch()
    assert [entry["ours"] for entry in found(f"17 main 5432 down postgres {tmp_path} /log", tmp_path)] == [True]
    assert [entry["ours"] for entry in found(f"15 main 5432 down postgres {tmp_path} /log", tmp_path)] == [False]


def test_a_cluster_whose_creation_was_cut_off_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/17-synapse.unfinished").touch()
    assert found(f"17 synapse 5432 down postgres {tmp_path} /log", tmp_path) == []
    assert len(found(f"17 main 5432 down postgres {tmp_path} /log", tmp_path)) == 1


def test_a_host_without_clusters_has_none(tmp_path: Path) -> None:
    assert clusters("", Psql(), tmp_path, tmp_path) == []
