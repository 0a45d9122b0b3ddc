# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of one machine's processes, under load: the fleet heals by itself, and keeps what it acknowledged."""

from __future__ import annotations

from benchmarks.chaos import Chaos, deaf, kills, redis_gone, restarts, told


def test_every_process_comes_back_after_a_kill(one: Chaos) -> None:
    for trial in kills(one):
        one.attempt(trial)


def test_redis_postgresql_and_nginx_may_fail(one: Chaos) -> None:
    for trial in restarts(one):
        one.attempt(trial)


def test_the_watchdog_restarts_a_process_that_is_deaf(one: Chaos) -> None:
    """It runs, answers, and never hears anything again; nothing but the watchdog notices."""
    before = one.fleet.shell("date '+%F %T'").strip()
    one.attempt(deaf(one))
    said = one.fleet.shell(f"journalctl -q -o cat -t synapse-watchdog --since='{before}'").splitlines()
    (restarted,) = [line for line in said if line.startswith("Restarting ")]
    assert "hears nothing from Redis, which answers" in restarted


def test_redis_gone_for_long_makes_the_watchdog_restart_nobody(one: Chaos) -> None:
    """Longer than a process has to be deaf."""
    starts = one.fleet.shell(f"systemctl show -P InvocationID {' '.join(one.units())}")
    one.attempt(redis_gone(one, 25))
    assert one.fleet.shell(f"systemctl show -P InvocationID {' '.join(one.units())}") == starts


def test_nothing_was_lost_and_nothing_failed_once_all_were_back(one: Chaos) -> None:
    """The load has to stop for that."""
    one.load.stop()
    figures = one.figures()
    print(told(figures))
    assert [entry.name for entry in figures if entry.lost] == []
    assert one.unexplained() == []
    assert not one.load.verification.problems, one.load.verification.problems
    assert one.load.verification.acknowledged > 0
    assert max(entry.seconds for entry in figures if "subscription" not in entry.name) < 60
