# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of routes over releases."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tools.routes.errors import RoutesError
from tools.routes.merge import Book, Identity, Served, add, parse_probe, read, remove, text

if TYPE_CHECKING:
    from pathlib import Path


def served(path: str, servlet: str = "Servlet", **other: Any) -> Served:
    fields: dict[str, Any] = {
        "path": path,
        "methods": ("GET",),
        "main": ("client",),
        "worker": ("client",),
        "when": None,
        "writes": None,
        "session": False,
    }
    return Served(Identity(**fields | other), servlet)


SYNC = served("/sync")
RELEASES = {
    "1.84.1": [SYNC, served("/old")],
    "1.100.0": [SYNC, served("/devices", worker=()), served("/gap")],
    "1.130.0": [served("/sync", "SyncServlet"), served("/devices", "Devices")],
    "1.163.2": [served("/sync", "SyncServlet"), served("/devices"), served("/gap", "Gap"), served("/new")],
}


def made(releases: list[str]) -> Book:
    book = Book()
    for release in releases:
        book = add(book, release, RELEASES[release])
    return book


ALL = made(list(RELEASES))


def lasts(path: str, book: Book = ALL) -> list[tuple[str, str | None]]:
    return [(route.since, route.until) for route in book.routes if route.identity.path == path]


def test_a_route_that_was_always_there_has_no_end() -> None:
    assert lasts("/sync") == [("1.84.1", None)]


def test_a_route_ends_with_the_first_release_that_has_it_no_more() -> None:
    assert lasts("/old") == [("1.84.1", "1.100.0")]


def test_a_route_begins_with_the_first_release_that_has_it() -> None:
    assert lasts("/new") == [("1.163.2", None)]


def test_a_route_that_workers_serve_from_a_release_on_is_another() -> None:
    assert lasts("/devices") == [("1.100.0", "1.130.0"), ("1.130.0", None)]


def test_a_route_that_comes_back_has_two_times() -> None:
    assert lasts("/gap") == [("1.100.0", "1.130.0"), ("1.163.2", None)]


def test_what_workers_lack_is_kept_beside_the_route_and_left_out_where_there_is_nothing(tmp_path: Path) -> None:
    book = add(ALL, "1.163.2", [SYNC, served("/openid", worker=(), lacks="get_user_id_for_open_id_token")])
    path = tmp_path / "routes.json"
    path.write_text(text(book))
    assert read(path) == book
    assert [line for line in path.read_text().splitlines() if "lacks" in line] == [
        line for line in path.read_text().splitlines() if "/openid" in line
    ]


def test_releases_are_in_the_order_of_their_numbers() -> None:
    assert ALL.releases == ("1.84.1", "1.100.0", "1.130.0", "1.163.2")


def test_a_servlet_has_the_name_of_its_newest_release() -> None:
    assert {route.servlet for route in ALL.routes if route.identity.path == "/sync"} == {"SyncServlet"}


@pytest.mark.parametrize("order", list(itertools.permutations(RELEASES)), ids="-".join)
def test_the_order_of_additions_makes_no_difference(order: tuple[str, ...]) -> None:
    assert text(made(list(order))) == text(ALL)


@pytest.mark.parametrize("release", RELEASES)
def test_adding_a_release_again_changes_nothing(release: str) -> None:
    assert text(add(ALL, release, RELEASES[release])) == text(ALL)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_taken_out_and_put_in_again_changes_nothing(release: str) -> None:
    without = remove(ALL, release)
    assert release not in without.releases
    assert remove(without, release) == without
    assert text(add(without, release, RELEASES[release])) == text(ALL)


def test_a_release_that_is_probed_anew_takes_the_place_of_what_was_said_of_it() -> None:
    book = add(ALL, "1.163.2", [SYNC])
    assert lasts("/new", book) == []
    assert lasts("/devices", book) == [("1.100.0", "1.130.0"), ("1.130.0", "1.163.2")]


@pytest.mark.parametrize("patch", ["1.130.7", "1.130.10"])
def test_there_is_one_patch_of_each_minor(patch: str) -> None:
    book = add(add(ALL, "1.130.9", RELEASES["1.130.0"]), patch, RELEASES["1.130.0"])
    assert book.releases == ("1.84.1", "1.100.0", patch, "1.163.2")
    assert lasts("/devices", book) == [("1.100.0", patch), (patch, None)]
    assert ALL.replaced_by(patch) == ("1.130.0",)
    assert book.replaced_by(patch) == ()
    assert book.replaced_by("1.13.0") == ()


def test_each_release_is_found_again_as_it_was_added() -> None:
    for release, routes in RELEASES.items():
        assert {route.identity for route in ALL.of(release)} == {route.identity for route in routes}


def test_an_unknown_release_is_told_with_what_to_do() -> None:
    with pytest.raises(
        RoutesError, match=r"knows nothing of Synapse 1\.99\.0.*Add it with `python -m tools\.routes add"
    ):
        ALL.of("1.99.0")


def test_the_file_has_one_route_a_line_and_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    path.write_text(text(ALL))
    assert read(path) == ALL
    lines = path.read_text().splitlines()
    assert len(lines) == len(ALL.routes) + 2
    assert json.loads(lines[1].rstrip(","))["path"] == "/devices"


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path / "routes.json") == Book()
    (tmp_path / "routes.json").write_text(text(Book()))
    assert read(tmp_path / "routes.json") == Book()


def broken(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text(ALL))
    document["routes"][0].update(changes)
    return document


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "is no JSON"),
        ([], r"has the schema None, this tool reads 1"),
        ({"schema": 2}, "has the schema 2, this tool reads 1"),
        ({"schema": 1, "releases": "1.84.1"}, "releases is '1.84.1', and has to be a list"),
        ({"schema": 1, "releases": ["latest"]}, "'latest' is no Synapse release"),
        ({"schema": 1, "releases": ["1.163.2", "1.84.1"]}, "not in order"),
        ({"schema": 1, "releases": [], "routes": [3]}, "route 1 is no object"),
        (broken(path=None), "route 1: path is None"),
        (broken(methods=[1]), r"route 1: methods is \[1\]"),
        (broken(session="no"), "route 1: session is 'no'"),
        (broken(lacks=["x"]), r"route 1: lacks is \['x'\]"),
        (broken(until="1.99.0"), "route 1: since '1.100.0' and until '1.99.0' are not both known"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, document: object, reason: str) -> None:
    path = tmp_path / "routes.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(RoutesError, match=reason) as caught:
        read(path)
    assert "Restore the file" in str(caught.value) or "Write it as" in str(caught.value)


def test_what_the_probe_prints_is_read() -> None:
    entry = json.loads(text(ALL))["routes"][0]
    release, routes = parse_probe({"release": "1.163.2", "routes": [entry]}, "the probe")
    assert release == "1.163.2"
    assert routes[0].identity.path == "/devices"


def test_what_the_probe_does_not_print_is_refused() -> None:
    with pytest.raises(RoutesError, match="names no release"):
        parse_probe({}, "the probe")
    with pytest.raises(RoutesError, match="the probe: routes is None"):
        parse_probe({"release": "1.163.2"}, "the probe")
