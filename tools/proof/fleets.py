# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet on which a release is proven: the example `full`, with all options on, then with delegated logins."""

from __future__ import annotations

from typing import Any

from tools.proof.provider import CLIENT_ID
from tools.proof.world import APPSERVICE, MAS_SECRET, OUTSIDE

EXAMPLE = "full"
MACHINE = "proof"
ADDRESS = "10.88.207.10"
REGISTRATION = "/etc/matrix-appservice-test.yaml"
_UNLIMITED = {"per_second": 1000, "burst_count": 1000}

FLAGS = (
    *("msc1763_enabled", "msc3266_enabled", "msc3391_enabled", "msc3720_enabled", "msc3814_enabled"),
    *("msc3983_appservice_otk_claims", "msc4133_enabled", "msc4140_enabled", "msc4143_enabled", "msc4306_enabled"),
    *("msc4370_enabled", "msc4502_enabled", "msc4512_enabled"),
)
"""The experimental features that add routes to workers."""

_COMMON: dict[str, Any] = {
    "allow_public_rooms_over_federation": True,
    "email": {"smtp_host": "127.0.0.1", "notif_from": "proof <proof@example.org>"},
    "enable_3pid_changes": True,
    "rc_message": _UNLIMITED,
    "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED},
    "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
    "rc_invites": {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED},
    "rc_federation": {"concurrent": 100},
    "max_event_delay_duration": "24h",
    "url_preview_enabled": True,
    "url_preview_ip_range_blacklist": ["0.0.0.0/0", "::/0"],
    "url_preview_ip_range_whitelist": ["127.0.0.1"],
    "retention": {"enabled": True},
    "federation_whitelist_endpoint_enabled": True,
    "app_service_config_files": [REGISTRATION],
    "experimental_features": dict.fromkeys(FLAGS, True),
}

_OIDC = {
    "idp_id": "proof",
    "idp_name": "proof",
    "discover": False,
    "skip_verification": True,
    "issuer": f"{OUTSIDE}/",
    "client_id": CLIENT_ID,
    "client_secret": "proof",
    "scopes": ["profile"],
    "authorization_endpoint": f"{OUTSIDE}/authorize",
    "token_endpoint": f"{OUTSIDE}/token",
    "userinfo_endpoint": f"{OUTSIDE}/userinfo",
    "jwks_uri": f"{OUTSIDE}/jwks",
    "user_profile_method": "userinfo_endpoint",
    "backchannel_logout_enabled": True,
    "user_mapping_provider": {"config": {}},
}

OWN_LOGINS: dict[str, Any] = {
    **_COMMON,
    "enable_registration": True,
    "enable_registration_without_verification": True,
    "rc_registration": _UNLIMITED,
    "cas_config": {"enabled": True, "server_url": f"{OUTSIDE}/cas"},
    "oidc_providers": [_OIDC],
}

DELEGATED: dict[str, Any] = {
    **_COMMON,
    "matrix_authentication_service": {"enabled": True, "endpoint": f"{OUTSIDE}/", "secret": MAS_SECRET},
}

APPSERVICE_FILE = f"""id: {APPSERVICE["id"]}
url: {OUTSIDE}
as_token: {APPSERVICE["token"]}
hs_token: molecule_hs
sender_localpart: {APPSERVICE["user"]}
rate_limited: false
io.element.msc4502.scopes: ["urn:matrix:client:io.element.msc4502:rooms:is_joined"]
namespaces:
  users: [{{exclusive: false, regex: "@.*"}}]
  rooms: []
  aliases: []
"""

VARIABLES: dict[str, Any] = {"synapse_trusted_key_servers": [], "nginx_admin_allowed": ["10.88.0.1/32"]}
