# SPDX-License-Identifier: GPL-3.0-or-later
"""Which duty serves which request: methods and raw paths, as Synapse's workers register them.

Source: the servlets of Synapse (rest/, federation/transport/server/), read at 1.130 to 1.163.2. Patterns match the raw
path, as Synapse does: an id keeps its percent-encoding and so never holds a slash.
"""

from __future__ import annotations

from dataclasses import dataclass

from ._releases import OLDEST, Release


@dataclass(frozen=True, kw_only=True)
class Route:
    """Requests that one duty serves.

    Attributes:
        duty: the name of the duty.
        methods: the methods that a worker serves; HEAD goes with GET, OPTIONS with all.
        pattern: a regular expression for the whole raw path.
        since: the first release in which a worker serves it.
        until: the first release in which another route takes its place.
        writer_only: every process but the writer of the stream answers 500, main included.
    """

    duty: str
    methods: tuple[str, ...]
    pattern: str
    since: Release = OLDEST
    until: Release | None = None
    writer_only: bool = False

    def serves(self, release: Release) -> bool:
        """Tells whether workers of the release serve the route."""
        return self.since <= release and (self.until is None or release < self.until)


_ID = "[^/]+"
_API = "/_matrix/client/(?:api/v1|r0|v3|unstable)"
_R0 = "/_matrix/client/(?:r0|v3|unstable)"
_CLIENT = "/_matrix/client"
_ADMIN = "/_synapse/admin"
_DEVICE_WRITERS = Release(1, 135)
_QUARANTINE = Release(1, 152)

_GET = ("GET",)
_POST = ("POST",)
_PUT = ("PUT",)
_DELETE = ("DELETE",)


def _route(
    duty: str,
    methods: tuple[str, ...],
    *patterns: str,
    since: Release = OLDEST,
    until: Release | None = None,
    writer_only: bool = False,
) -> tuple[Route, ...]:
    return tuple(
        Route(duty=duty, methods=methods, pattern=pattern, since=since, until=until, writer_only=writer_only)
        for pattern in patterns
    )


ROUTES: tuple[Route, ...] = (
    # Writes that only the writer of their stream serves.
    *_route("typing", _PUT, f"{_API}/rooms/{_ID}/typing/{_ID}", writer_only=True),
    *_route("to_device", _PUT, f"{_R0}/sendToDevice/{_ID}/{_ID}", writer_only=True),
    *_route(
        "receipts",
        _POST,
        f"{_R0}/rooms/{_ID}/receipt/{_ID}/{_ID}",
        f"{_R0}/rooms/{_ID}/read_markers",
        writer_only=True,
    ),
    *_route("push_rules", _PUT + _DELETE, f"{_API}/pushrules/.+", writer_only=True),
    *_route(
        "thread_subscriptions",
        _PUT + _DELETE,
        rf"{_CLIENT}/unstable/io\.element\.msc4306/rooms/{_ID}/thread/{_ID}/subscription",
        since=Release(1, 136),
        writer_only=True,
    ),
    *_route(
        "quarantined_media_changes",
        _POST,
        f"{_ADMIN}/v1/quarantine_media/.+",
        f"{_ADMIN}/v1/(?:room|user)/{_ID}/media/quarantine",
        f"{_ADMIN}/v1/media/(?:un)?quarantine/.+",
        since=_QUARANTINE,
        writer_only=True,
    ),
    # Writes that any worker passes on to their writer; sent there at once.
    *_route(
        "account_data",
        _GET + _PUT + _DELETE,
        f"{_R0}/user/{_ID}/(?:rooms/{_ID}/)?account_data/{_ID}",
        f"{_R0}/user/{_ID}/rooms/{_ID}/tags(?:/{_ID})?",
    ),
    *_route("presence", _GET + _PUT, f"{_API}/presence/.+"),
    *_route(
        "device_lists",
        _GET + _PUT + _DELETE,
        f"{_API}/devices(?:/{_ID})?",
        since=_DEVICE_WRITERS,
    ),
    *_route(
        "device_lists",
        _POST,
        f"{_CLIENT}/(?:r0|v3)/delete_devices",
        f"{_R0}/keys/upload(?:/{_ID})?",
        f"{_API}/keys/(?:device_signing|signatures)/upload",
        since=_DEVICE_WRITERS,
    ),
    *_route("client_reader", _GET, f"{_API}/devices(?:/{_ID})?", until=_DEVICE_WRITERS),
    *_route("client_reader", _POST, f"{_R0}/keys/upload(?:/{_ID})?", until=_DEVICE_WRITERS),
    # Synchronisation.
    *_route("sync", _GET, f"{_R0}/sync", f"{_CLIENT}/(?:api/v1|r0|v3)/events"),
    *_route(
        "initial_sync",
        _GET,
        f"{_CLIENT}/(?:api/v1|r0|v3)/initialSync",
        f"{_CLIENT}/(?:api/v1|r0|v3)/rooms/{_ID}/initialSync",
    ),
    *_route("sliding_sync", _POST, rf"{_CLIENT}/unstable/org\.matrix\.simplified_msc3575/sync"),
    # All that names a room.
    *_route(
        "room",
        _GET,
        f"{_API}/rooms/{_ID}/(?:joined_members|members|messages|aliases|state)",
        f"{_API}/rooms/{_ID}/(?:context|event)/{_ID}",
        f"{_CLIENT}/v1/rooms/{_ID}/(?:hierarchy|threads|timestamp_to_event)",
        f"{_CLIENT}/(?:v1|unstable)/rooms/{_ID}/relations/.+",
    ),
    *_route("room", _GET + _PUT, f"{_API}/rooms/{_ID}/state/.+"),
    *_route(
        "room",
        _POST + _PUT,
        f"{_API}/rooms/{_ID}/(?:send|redact)/.+",
        f"{_API}/rooms/{_ID}/(?:join|invite|leave|ban|unban|kick)(?:/{_ID})?",
        f"{_API}/join/{_ID}(?:/{_ID})?",
        f"{_API}/knock/{_ID}(?:/{_ID})?",
    ),
    *_route("room", _GET, f"{_CLIENT}/v1/room_summary/{_ID}", since=Release(1, 153)),
    # Login.
    *_route("login", _GET + _POST, f"{_API}/login"),
    *_route("login", _POST, f"{_R0}/register"),
    *_route(
        "login",
        _GET,
        f"{_R0}/register/available",
        rf"{_CLIENT}/v1/register/m\.login\.registration_token/validity",
        f"{_R0}/password_policy",
    ),
    *_route(
        "sso",
        _GET + _POST,
        f"{_API}/login/(?:sso|cas)/redirect(?:/{_ID})?",
        f"{_API}/login/cas/ticket",
        "/_synapse/client/(?:pick_idp|pick_username(?:/.*)?|new_user_consent|sso_register)",
        "/_synapse/client/(?:oidc/callback|oidc/backchannel_logout|saml2/authn_response)",
    ),
    *_route("user_directory", _POST, f"{_R0}/user_directory/search"),
    # Media, for clients, federation and admins.
    *_route(
        "media",
        _GET + _POST + _PUT,
        "/_matrix/media/.+",
        f"{_CLIENT}/v1/media/.+",
        "/_matrix/federation/v1/media/.+",
    ),
    *_route(
        "media",
        _GET + _POST + _DELETE,
        f"{_ADMIN}/v1/(?:purge_media_cache|media/.+)",
        f"{_ADMIN}/v1/(?:room|user)/{_ID}/media(?:/.*)?",
        f"{_ADMIN}/v1/users/{_ID}/media",
    ),
    # All other client requests that a worker serves.
    *_route(
        "client_reader",
        _GET,
        f"{_CLIENT}/versions",
        f"{_R0}/(?:account/whoami|capabilities|notifications|keys/changes)",
        f"{_API}/(?:joined_rooms|voip/turnServer|events/{_ID}|pushrules/.*)",
        rf"{_CLIENT}/unstable/io\.element\.msc4306/rooms/{_ID}/thread/{_ID}/subscription",
        "/_synapse/client/media_upload_limit_exceeded",
    ),
    *_route(
        "client_reader",
        _POST,
        f"{_API}/(?:createRoom|search)",
        f"{_R0}/keys/(?:query|claim)",
        f"{_CLIENT}/(?:v1|unstable)/appservice/{_ID}/ping",
    ),
    *_route("client_reader", _POST, f"{_R0}/account/deactivate", since=_DEVICE_WRITERS),
    *_route(
        "client_reader",
        _GET + _POST,
        f"{_API}/publicRooms",
        f"{_R0}/account/3pid",
        f"{_R0}/user/{_ID}/filter(?:/{_ID})?",
        "/_synapse/client/unsubscribe",
    ),
    *_route("client_reader", _GET + _PUT + _DELETE, f"{_API}/directory/room/{_ID}", f"{_API}/profile/{_ID}(?:/{_ID})?"),
    *_route("client_reader", _GET + _PUT + _POST + _DELETE, f"{_R0}/room_keys/.+"),
    *_route("client_reader", _GET + _DELETE, f"{_ADMIN}/v1/rooms/{_ID}"),
    *_route("client_reader", _GET, f"{_ADMIN}/v2/users/{_ID}", since=Release(1, 145)),
    # Federation: no route of it is for main alone, but media need a process with the media store.
    *_route("federation_inbound", _PUT, f"/_matrix/federation/v1/send/{_ID}"),
    *_route("federation_reader", _GET + _POST + _PUT, "/_matrix/federation/(?!v1/media/).+", "/_matrix/key/.+"),
)
