# SPDX-License-Identifier: GPL-3.0-or-later
"""Media, of clients and of admins."""

from __future__ import annotations

from tools.matrix import encoded
from tools.proof.cases.case import Case
from tools.proof.world import PNG, Exchange, word

V1 = "/_matrix/client/v1/media"
OLD = "/_matrix/media/v3"
ADMIN = "/_synapse/admin/v1"
WHO = "admin"


def _created(exchange: Exchange) -> None:
    answer = exchange.world.call("POST", "/_matrix/media/v1/create", user=exchange.world.once("alice"), at="media")
    exchange.names["new_media_id"] = answer["content_uri"].rpartition("/")[2]


def _quarantined(exchange: Exchange) -> None:
    path = f"{ADMIN}/media/quarantine/{exchange.world.server}/{encoded(exchange.get('new_media'))}"
    exchange.world.call("POST", path, {}, user=exchange.world.once("admin"), at="quarantined_media_changes")


def _user_media(exchange: Exchange) -> None:
    # Media with the same content are quarantined together.
    exchange.world.upload(exchange.get("new_user"), word().encode(), "text/plain")


SHAPE = "width=32&height=32&method=scale"

CASES = (
    Case("GET", f"{V1}/config"),
    Case("GET", f"{V1}/download/{{server}}/{{media}}"),
    Case("GET", f"{V1}/download/{{server}}/{{media}}/proof.txt"),
    Case("GET", f"{V1}/thumbnail/{{server}}/{{picture}}?{SHAPE}"),
    Case("GET", f"{V1}/preview_url?url={{page}}"),
    Case("GET", f"{OLD}/config"),
    Case("GET", f"{OLD}/download/{{server}}/{{media}}", status=404),
    Case("GET", f"{OLD}/thumbnail/{{server}}/{{picture}}?{SHAPE}", status=404),
    Case("GET", f"{OLD}/preview_url?url={{page}}"),
    Case("POST", f"{OLD}/upload", content=(PNG, "image/png"), volatile=("content_uri",)),
    Case("POST", "/_matrix/media/v1/create", volatile=("content_uri", "unused_expires_at")),
    Case("PUT", f"{OLD}/upload/{{server}}/{{new_media_id}}", content=(b"proof", "text/plain"), before=_created),
    # Of admins.
    Case("GET", f"{ADMIN}/room/{{room}}/media", who=WHO),
    Case("GET", f"{ADMIN}/media/{{server}}/{{media}}", who=WHO, volatile=("last_access_ts",)),
    Case("DELETE", f"{ADMIN}/media/{{server}}/{{new_media}}", who=WHO),
    Case("POST", f"{ADMIN}/media/protect/{{new_media}}", {}, who=WHO),
    Case("POST", f"{ADMIN}/media/unprotect/{{new_media}}", {}, who=WHO),
    Case("POST", f"{ADMIN}/media/delete?before_ts=1000&size_gt=1000000000", {}, who=WHO, status=400),
    Case("POST", f"{ADMIN}/media/{{server}}/delete?before_ts=1000000000000&size_gt=1000000000", {}, who=WHO),
    Case("POST", f"{ADMIN}/media/delete?before_ts=1000000000000&size_gt=1000000000", {}, who=WHO),
    Case("GET", f"{ADMIN}/users/{{new_user_id}}/media", who=WHO, before=_user_media, volatile=("media",)),
    Case("DELETE", f"{ADMIN}/users/{{new_user_id}}/media", who=WHO, before=_user_media, volatile=("deleted_media",)),
    Case("POST", f"{ADMIN}/purge_media_cache?before_ts=1000000000000", {}, who=WHO),
    Case("GET", f"{ADMIN}/media/quarantine_changes", who=WHO),
    Case("POST", f"{ADMIN}/media/quarantine/{{server}}/{{new_media}}", {}, who=WHO),
    Case("POST", f"{ADMIN}/media/unquarantine/{{server}}/{{new_media}}", {}, who=WHO, before=_quarantined),
    Case("POST", f"{ADMIN}/quarantine_media/{{new_room}}", {}, who=WHO),
    Case("POST", f"{ADMIN}/room/{{new_room}}/media/quarantine", {}, who=WHO),
    Case("POST", f"{ADMIN}/user/{{new_user_id}}/media/quarantine", {}, who=WHO, before=_user_media),
)
