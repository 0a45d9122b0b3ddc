# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployed examples that are kept: what they depend on, and when they are deployed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import layers
from tools.hosts import image, layer, process

EXAMPLE = "cluster"
HOSTS = ["db1", "main1", "app1", "app2", "media1", "edge1", "edge2"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Something of everything that a layer is made from."""
    for source in (*layers.SOURCES, *layers.MAKERS, f"inventories/{EXAMPLE}"):
        path = tmp_path / source
        if not path.suffix:
            path /= "some/file.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was\n")
    return tmp_path


@pytest.mark.parametrize(
    "changed",
    ["roles/some/file.yml", "plugins/some/new.py", "requirements/dev.txt", "inventories/cluster/group_vars/all.yml"],
)
def test_another_collection_or_inventory_is_another_layer(checkout: Path, changed: str) -> None:
    before = layers.name(EXAMPLE, "trixie", checkout)
    assert layers.name(EXAMPLE, "trixie", checkout) == before
    (checkout / changed).parent.mkdir(parents=True, exist_ok=True)
    (checkout / changed).write_text("as it is.\n")
    assert layers.name(EXAMPLE, "trixie", checkout) != before


@pytest.mark.parametrize("changed", ["roles/__pycache__/x.pyc", "inventories/single_host/hosts.yml", "docs/index.md"])
def test_what_is_not_deployed_does_not_matter(checkout: Path, changed: str) -> None:
    before = layers.name(EXAMPLE, "trixie", checkout)
    (checkout / changed).parent.mkdir(parents=True, exist_ok=True)
    (checkout / changed).write_text("changed\n")
    assert layers.name(EXAMPLE, "trixie", checkout) == before


def test_a_moved_file_and_a_moved_boundary_of_files_are_changes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    first = layers.digest([tmp_path])
    (tmp_path / "a").rename(tmp_path / "b")
    second = layers.digest([tmp_path])
    (tmp_path / "b").write_text("on")
    (tmp_path / "c").write_text("e")
    assert len({first, second, layers.digest([tmp_path])}) == 3


def test_another_image_is_another_layer(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = layers.name(EXAMPLE, "trixie", checkout)
    monkeypatch.setattr(image, "INSTALLED", [*image.INSTALLED, "one-more"])
    assert layers.name(EXAMPLE, "trixie", checkout) != before


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Deploys nothing, and keeps empty disks; returns what was deployed."""
    monkeypatch.setattr(layer, "LAYERS", tmp_path / "layers")
    monkeypatch.setattr(process, "STATE", tmp_path / "state")
    done: list[str] = []

    def deploy(example: str, suite: str, wanted: dict[str, str]) -> None:
        done.append(f"{example} {suite}")
        for name in wanted.values():
            (tmp_path / "upper").mkdir()
            layer.keep(layer.Layer(name=name, suite=suite, image="/images/one"), tmp_path / "upper")

    monkeypatch.setattr(layers, "_deploy", deploy)
    return done


def test_an_example_is_deployed_once_with_a_layer_for_each_host(deployed: list[str]) -> None:
    first = layers.ensure(EXAMPLE, "trixie")
    assert list(first) == HOSTS
    assert {kept.name for kept in layer.all_layers()} == set(first.values())
    assert layers.ensure(EXAMPLE, "trixie") == first
    assert deployed == ["cluster trixie"]
    assert layers.ensure(EXAMPLE, "bookworm") != first
    assert deployed == ["cluster trixie", "cluster bookworm"]
    assert len(layer.all_layers()) == 2 * len(HOSTS)


def test_a_fleet_of_which_a_layer_is_missing_is_deployed_again_as_a_whole(deployed: list[str]) -> None:
    first = layers.ensure(EXAMPLE, "trixie")
    layer.forget(first["media1"])
    assert layers.ensure(EXAMPLE, "trixie") == first
    assert deployed == ["cluster trixie"] * 2


def test_a_change_replaces_the_layers(deployed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = layers.ensure(EXAMPLE, "trixie")
    monkeypatch.setattr(image, "INSTALLED", [*image.INSTALLED, "one-more"])
    after = layers.ensure(EXAMPLE, "trixie")
    assert len(deployed) == 2
    assert {kept.name for kept in layer.all_layers()} == set(after.values())
    assert not set(before.values()) & set(after.values())


def test_bare_hosts_may_have_the_release_of_a_deployed_one(deployed: list[str], tmp_path: Path) -> None:
    (source,) = layers.ensure(layers.BUILT_BY, "trixie").values()
    disk = tmp_path / "layers" / source / "disk"
    for name in (*layers.RELEASE, "etc/matrix-synapse"):
        (disk / name).mkdir(parents=True)
        (disk / name / "file").write_text(name)
    (disk / "opt/matrix-synapse/current").symlink_to("releases")
    made = layers.with_release(["app1", "app2"], "trixie")
    assert list(made) == ["app1", "app2"]
    (kept,) = {layer.known(name) for name in made.values()}
    assert kept is not None
    assert sorted(str(path.relative_to(kept.disk)) for path in kept.disk.rglob("*") if path.is_file()) == [
        f"{name}/file" for name in layers.RELEASE
    ]
    assert layers.with_release(["app1"], "trixie") == {"app1": kept.name}
    assert deployed == [f"{layers.BUILT_BY} trixie"]
