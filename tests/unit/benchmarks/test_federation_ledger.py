# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of the traffic between servers: what it calls lost, twice delivered, and filled in."""

from __future__ import annotations

from benchmarks.federation import Ledger

A, B = "@a:fed-a.test", "@b:fed-b.test"


def test_what_was_acknowledged_is_lost_until_every_reader_has_it() -> None:
    ledger = Ledger()
    ledger.acknowledge("$1", [A, B])
    ledger.receive(A, "$1")
    assert ledger.lost() == {(B, "$1")}
    ledger.receive(B, "$1")
    assert ledger.lost() == set()


def test_it_may_arrive_before_it_is_acknowledged() -> None:
    ledger = Ledger()
    ledger.receive(B, "$1", at=1.0)
    ledger.acknowledge("$1", [B], at=2.0)
    assert ledger.lost() == set()
    assert ledger.delays() == [0.0]


def test_the_same_item_twice_in_one_stream_is_a_duplicate() -> None:
    ledger = Ledger()
    for reader in (A, B, B):
        ledger.receive(reader, "$1")
    assert ledger.duplicates() == {(B, "$1")}


def test_what_fills_a_gap_has_arrived_and_is_no_duplicate() -> None:
    ledger = Ledger()
    ledger.acknowledge("$1", [A, B])
    for reader in (A, B):
        ledger.receive(reader, "$1", filled=True)
    ledger.receive(B, "$1")
    assert ledger.lost() == ledger.duplicates() == set()
    assert ledger.filled() == {(A, "$1")}


def test_delays_run_from_the_acknowledgement_to_the_first_arrival() -> None:
    ledger = Ledger()
    ledger.acknowledge("$1", [A, B], at=10.0)
    ledger.receive(B, "$1", at=12.5)
    ledger.receive(B, "$1", at=20.0)
    ledger.receive(A, "$1", at=10.5)
    assert ledger.delays() == [0.5, 2.5]
