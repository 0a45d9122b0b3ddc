# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that would hide a file from Synapse, or take a directory from others, are refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError

from tests.unit.fleets import one_host


def reason(**variables: Any) -> str:
    """Returns why a fleet is refused, empty if it is not."""
    try:
        one_host(**variables)
    except TopologyError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", "others have something in /, too"),
        ("/etc", "/etc belongs to the system"),
        ("/etc/matrix-synapse/media", "/etc belongs to the system"),
        ("/var/lib", "others have something in /var/lib, too"),
        ("/var", "others have something in /var, too"),
        ("/srv", "others have something in /srv, too"),
        ("/proc", "/proc belongs to the system"),
        ("/proc/self/root", "/proc belongs to the system"),
        ("/dev/shm/media", "/dev belongs to the system"),  # noqa: S108
        ("/usr/share/media", "/usr belongs to the system"),
        ("/var/lib/postgresql/media", "/var/lib/postgresql belongs to the system or to another service"),
        ("/var/lib/matrix-synapse", "others have something in /var/lib/matrix-synapse, too"),
        ("/opt/matrix-synapse/media", "/opt/matrix-synapse belongs to the system or to another service"),
        ("/run/media", "/run belongs to the system"),
        ("/home/media", "the units of Synapse do not see /home (ProtectHome)"),
        ("/var/tmp/media", "the units of Synapse do not see /var/tmp (PrivateTmp)"),  # noqa: S108
        ("/srv/../etc", "the parts . and .. of a path hide where it leads"),
        ("/srv/./media", "the parts . and .. of a path hide where it leads"),
        ("/srv/media/", "none at its end. Write /srv/media."),
        ("/srv//media", "one / between two names, and none at its end. Write /srv/media."),
        ("/srv/my media", "it is an absolute path of letters, digits"),
        ("/srv/media\n", "it is an absolute path of one line"),
        ("/srv/%h", "it is an absolute path of letters, digits"),
        ("srv/media", "it is an absolute path of one line"),
    ],
)
def test_a_media_store_that_cannot_be(path: str, told: str) -> None:
    assert told in reason(synapse_media_store_path=path)


@pytest.mark.parametrize(
    "path",
    ["/srv/media", "/data", "/mnt/disk_1/matrix+media", "/var/lib/matrix-synapse/media", "/var/lib/media", "/homes/a"],
)
def test_a_media_store_that_can_be(path: str) -> None:
    assert reason(synapse_media_store_path=path) == ""


@pytest.mark.parametrize(
    ("config", "option", "place"),
    [
        ({"app_service_config_files": ["/home/bridge/registration.yaml"]}, "app_service_config_files[0]", "/home"),
        ({"app_service_config_files": ["/etc/a.yaml", "/root/b.yaml"]}, "app_service_config_files[1]", "/root"),
        ({"tls_certificate_path": "/root/.acme.sh/a.pem"}, "tls_certificate_path", "/root"),
        ({"federation_custom_ca_list": ["/tmp/ca.pem"]}, "federation_custom_ca_list[0]", "/tmp"),  # noqa: S108
        ({"templates": {"custom_template_directory": "/home/a/t"}}, "templates.custom_template_directory", "/home"),
        ({"email": {"template_dir": "/home/a/t"}}, "email.template_dir", "/home"),
        ({"turn_shared_secret_path": "/run/user/0/turn"}, "turn_shared_secret_path", "/run/user"),
        (
            {"oidc_providers": [{"idp_id": "a", "client_secret_path": "/root/secret"}]},
            "oidc_providers[0].client_secret_path",
            "/root",
        ),
        (
            {"saml2_config": {"sp_config": {"metadata": {"local": ["/home/a/idp.xml"]}}}},
            "saml2_config.sp_config.metadata.local[0]",
            "/home",
        ),
        (
            {"media_storage_providers": [{"module": "file_system", "config": {"directory": "/home/a"}}]},
            "media_storage_providers[0].config.directory",
            "/home",
        ),
    ],
)
@pytest.mark.parametrize("variable", ["synapse_extra_config", "synapse_main_settings.extra_config"])
def test_a_file_that_the_units_do_not_see_is_refused(
    variable: str, config: dict[str, Any], option: str, place: str
) -> None:
    name, _, nested = variable.partition(".")
    told = reason(**{name: {nested: config} if nested else config})
    assert told.startswith(f"{variable}.{option} is '/")
    assert f"the units of Synapse do not see {place} (" in told
    assert "Write /etc/matrix-synapse/" in told


@pytest.mark.parametrize(
    "config",
    [
        {"app_service_config_files": ["/etc/matrix-synapse/bridge.yaml", "bridge.yaml", "/homes/a.yaml"]},
        # A module's options may mean anything, and other options are no files.
        {"modules": [{"module": "a.B", "config": {"base_path": "/home"}}]},
        {"web_client_location": "/home"},
        {"email": {"notif_from": "/home/a"}},
    ],
)
def test_other_options_are_left_alone(config: dict[str, Any]) -> None:
    assert reason(synapse_extra_config=config) == ""


def test_a_pool_says_on_which_host_it_is() -> None:
    pool = {"sync": {"extra_config": {"tls_private_key_path": "/home/a/key.pem"}}}
    told = reason(generic_workers=pool)
    assert told.startswith(
        "generic_workers.sync.extra_config.tls_private_key_path on host synapse1 is '/home/a/key.pem'"
    )


def test_texts_that_no_file_can_hold_are_refused_without_their_value() -> None:
    told = reason(synapse_extra_config={"a": [{"b": "secret\ud800"}]})
    assert told.startswith("synapse_extra_config.a[0].b is (not shown): it has a half of a surrogate pair")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (["a"], "it is a mapping, which becomes a JSON object"),
        ({"a": float("nan")}, "it has a number that JSON cannot express"),
        ({"a": "x" * 2000}, "it has more than 2000 bytes"),
    ],
)
def test_an_answer_of_well_known_that_cannot_be(content: object, told: str) -> None:
    assert told in reason(synapse_extra_config={"extra_well_known_client_content": content})
