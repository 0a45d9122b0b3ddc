# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of disposable hosts, without a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.hosts import host, layer, process
from tools.hosts.settings import TREES, HostsError

IMAGE = Path("/images/trixie-1")
MOUNT = (
    "65 28 0:40 / /trees/box/root rw,relatime shared:1 - overlay fleet-box "
    "rw,lowerdir=/layers/with\\040space/disk:/images/trixie-1,upperdir=/trees/box/upper,workdir=/trees/box/work,volatile"
)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Layers and locks of this test alone."""
    monkeypatch.setattr(layer, "LAYERS", tmp_path / "layers")
    monkeypatch.setattr(process, "STATE", tmp_path / "state")
    return tmp_path


def made(name: str, folders: Path, suite: str = "trixie") -> layer.Layer:
    """Keeps a disk with a file of the deployed and files of its host."""
    upper = folders / "upper"
    for path in ("etc/matrix-synapse/homeserver.yaml", "etc/machine-id", "etc/hosts", "var/log/journal/1/system"):
        (upper / path).parent.mkdir(parents=True, exist_ok=True)
        (upper / path).write_text("of the host")
    kept = layer.Layer(name=name, suite=suite, image=str(IMAGE))
    layer.keep(kept, upper)
    return kept


def test_a_layer_has_what_was_deployed_and_nothing_of_the_identity_of_its_host(folders: Path) -> None:
    disk = made("single_host-trixie-1-synapse1", folders).disk
    assert [str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file()] == [
        "etc/matrix-synapse/homeserver.yaml"
    ]
    assert not (disk / "var/log/journal").exists()
    assert not (folders / "upper").exists()


def test_a_link_in_the_place_of_an_identity_is_removed_and_not_followed(folders: Path) -> None:
    outside = folders / "outside"
    outside.mkdir()
    (outside / "journal").write_text("of somebody else")
    (folders / "upper/var/log").mkdir(parents=True)
    (folders / "upper/var/log/journal").symlink_to(outside)
    layer.keep(layer.Layer(name="one", suite="trixie", image=str(IMAGE)), folders / "upper")
    assert (outside / "journal").exists()


def test_a_layer_is_known_and_never_replaced(folders: Path) -> None:
    kept = made("one", folders)
    assert layer.known("one") == kept
    assert layer.known("two") is None
    with pytest.raises(HostsError, match="a layer one already"):
        made("one", folders)
    assert layer.all_layers() == [kept]


def test_what_a_save_left_that_was_cut_off_is_no_layer(folders: Path) -> None:
    (folders / "layers/partial-one/disk").mkdir(parents=True)
    assert layer.all_layers() == []
    assert layer.known("one") is None
    made("one", folders)
    assert not (folders / "layers/partial-one").exists()


@pytest.mark.parametrize("name", ["", "../one", "One", "a:b", "a,b", "one-"])
def test_names_that_paths_or_mount_options_cannot_have_are_refused(name: str) -> None:
    with pytest.raises(HostsError, match="unusable"):
        layer.Layer(name=name, suite="trixie", image=str(IMAGE))


def test_a_host_has_the_layer_above_the_image(folders: Path) -> None:
    kept = made("one", folders)
    assert layer.lower_directories(IMAGE, "trixie", None) == "/images/trixie-1"
    assert layer.lower_directories(IMAGE, "trixie", "one") == f"{kept.disk}:/images/trixie-1"


@pytest.mark.parametrize(
    ("image", "suite", "name", "reason"),
    [
        ("/images/trixie-1", "trixie", "two", "There is no layer two; this checkout has: one."),
        ("/images/bookworm-1", "bookworm", "one", "is of Debian trixie, not bookworm"),
        ("/images/trixie-2", "trixie", "one", "belongs to another image, /images/trixie-1"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused(folders: Path, image: str, suite: str, name: str, reason: str) -> None:
    made("one", folders)
    with pytest.raises(HostsError, match=reason):
        layer.lower_directories(Path(image), suite, name)


def test_a_layer_in_use_stays_and_others_are_deleted(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = made("single_host-trixie-old-a", folders)
    for name in ("single_host-trixie-old-b", "single_host-trixie-new-a", "single_host-bookworm-old-a"):
        made(name, folders)
    monkeypatch.setattr(layer, "mounted_from", lambda disk: disk == used.disk)
    with pytest.raises(HostsError, match="end that host first"):
        layer.forget(used.name)
    assert layer.forget_outdated("single_host-trixie-", "single_host-trixie-new") == ["single_host-trixie-old-b"]
    assert [kept.name for kept in layer.all_layers()] == [
        "single_host-bookworm-old-a",
        "single_host-trixie-new-a",
        "single_host-trixie-old-a",
    ]
    assert layer.forget("single_host-bookworm-old-a")
    assert not layer.forget("single_host-bookworm-old-a")


def test_the_layers_of_a_mounted_overlay_are_read_from_what_the_kernel_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "mount_lines", lambda: [MOUNT.replace("\\040", " ")])
    assert process.mounted_from(Path("/layers/with space/disk"))
    assert process.mounted_from(Path("/images/trixie-1"))
    assert not process.mounted_from(Path("/images/trixie"))
    assert process.overlay_layers("22 1 8:1 / / rw - ext4 /dev/vda rw,lowerdir=/images/trixie-1") == []


def known_host(*, image: str = str(IMAGE), tree: Path | None = None) -> host.Host:
    return host.Host(
        name="box",
        suite="trixie",
        address="10.88.250.1",
        hostname="box",
        forward="web",
        tree=str(tree or TREES / "box"),
        image=image,
    )


@pytest.mark.parametrize(
    ("present", "alive", "reason"),
    [
        ({}, False, "is not up"),
        ({"tree": Path("/elsewhere/trees/box")}, True, "belongs to another checkout"),
        ({"image": f"/layers/one/disk:{IMAGE}"}, True, "was booted from a layer itself, /layers/one/disk"),
    ],
)
def test_hosts_that_cannot_become_a_layer_are_left_running(
    monkeypatch: pytest.MonkeyPatch, present: dict[str, object], alive: bool, reason: str
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(host, "known", lambda _name: known_host(**present))  # type: ignore[arg-type]
    monkeypatch.setattr(host, "alive", lambda _name: alive)
    monkeypatch.setattr(host, "_power_off", stopped.append)
    with pytest.raises(HostsError, match=reason):
        host.save("box", "one")
    assert stopped == []


def test_a_host_that_is_up_is_the_wanted_one_if_its_layer_is() -> None:
    bare, older = known_host(), known_host(image="/images/trixie-0")
    layered = known_host(image=f"/layers/one/disk:{IMAGE}")
    assert host.as_wanted(older, bare)
    assert not host.as_wanted(layered, bare)
    assert not host.as_wanted(bare, layered)
    assert host.as_wanted(layered, layered)
