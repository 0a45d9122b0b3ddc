# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people talk, over everything that lies between them: nginx, the workers, Redis and PostgreSQL."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.deployment import Deployment, password_of
from tools.matrix import CLIENT, MEDIA, Client, encoded

SIZES = {"K": 1024, "M": 1024**2}


@dataclass
class Talk:
    """A room with two people in it, who logged in through nginx."""

    alice: Client
    bob: Client
    room: str
    event: str


@pytest.fixture(scope="module")
def talk(fleet: Deployment) -> Iterator[Talk]:
    """Two users register, log in, and meet in a room to which one invites the other."""
    open_to_all = fleet.topology.options["synapse_extra_config"].get("enable_registration", False)
    names = [f"{name}_{secrets.token_hex(4)}" for name in ("alice", "bob")]
    if not open_to_all:
        fleet.register(*names)
    with fleet.client() as alice, fleet.client() as bob:
        for client, name in zip((alice, bob), names, strict=True):
            if open_to_all:
                client.register(name, password_of(name))
                client.account = None
            client.login(name, password_of(name))
        room = alice.create_room(name="Talk", invite=[bob.user_id])
        assert room in bob.sync()["rooms"]["invite"]
        bob.join(room)
        yield Talk(alice, bob, room, alice.send(room, "hello"))


def _until(client: Client, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Sync until something wanted arrives."""
    since = None
    for _ in range(8):
        answer = client.sync(since, wait=2.0 if since else 0.0)
        if wanted(answer):
            return
        since = answer["next_batch"]
    pytest.fail(f"it did not reach {client.user_id}")


def _ephemeral(answer: dict[str, Any], room: str, kind: str) -> list[dict[str, Any]]:
    events = answer.get("rooms", {}).get("join", {}).get(room, {}).get("ephemeral", {}).get("events", [])
    return [event["content"] for event in events if event["type"] == kind]


def test_message_arrives(talk: Talk) -> None:
    """What one says, the other reads; and the other way round."""
    assert talk.bob.sync_until_event(talk.room, talk.event)["content"]["body"] == "hello"

    answer = talk.bob.send(talk.room, "hello yourself")

    assert talk.alice.sync_until_event(talk.room, answer)["content"]["body"] == "hello yourself"


def test_message_ends_a_wait(talk: Talk) -> None:
    """A client that waits is told at once, not when its patience ends."""
    since = talk.bob.sync()["next_batch"]
    event = talk.alice.send(talk.room, "are you there?")

    answer = talk.bob.sync(since, wait=20)

    assert event in [entry["event_id"] for entry in answer["rooms"]["join"][talk.room]["timeline"]["events"]]


def test_typing_is_seen(talk: Talk) -> None:
    """The other one sees who types."""
    talk.alice.typing(talk.room)

    _until(
        talk.bob,
        lambda answer: any(talk.alice.user_id in c["user_ids"] for c in _ephemeral(answer, talk.room, "m.typing")),
    )


def test_receipt_is_seen(talk: Talk) -> None:
    """The other one sees what was read."""
    talk.bob.receipt(talk.room, talk.event)

    _until(talk.alice, lambda answer: any(talk.event in c for c in _ephemeral(answer, talk.room, "m.receipt")))


def test_presence_is_seen(talk: Talk) -> None:
    """The other one sees who is there."""
    status = secrets.token_hex(4)
    path = f"{CLIENT}/presence/{encoded(talk.alice.user_id)}/status"
    talk.alice.call("PUT", path, {"presence": "online", "status_msg": status})

    def seen(answer: dict[str, Any]) -> bool:
        return any(e["content"].get("status_msg") == status for e in answer.get("presence", {}).get("events", []))

    _until(talk.bob, seen)


def test_message_to_a_device_arrives(talk: Talk) -> None:
    """As keys of encrypted rooms do."""
    word = secrets.token_hex(4)
    body = {"messages": {talk.bob.user_id: {"*": {"word": word}}}}
    talk.alice.call("PUT", f"{CLIENT}/sendToDevice/org.test/{word}", body)

    def seen(answer: dict[str, Any]) -> bool:
        return any(e["content"].get("word") == word for e in answer.get("to_device", {}).get("events", []))

    _until(talk.bob, seen)


def test_new_key_is_noticed(talk: Talk) -> None:
    """The other one learns that a device has other keys."""
    since = talk.bob.sync()["next_batch"]
    account = talk.alice.account
    assert account is not None
    keys = {
        "user_id": account.user_id,
        "device_id": account.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": {f"ed25519:{account.device_id}": secrets.token_urlsafe(32)},
        "signatures": {},
    }
    talk.alice.call("POST", f"{CLIENT}/keys/upload", {"device_keys": keys})

    def told(answer: dict[str, Any]) -> bool:
        return account.user_id in answer.get("device_lists", {}).get("changed", [])

    assert told(talk.bob.sync(since, wait=10)) or told(talk.bob.sync(since, wait=0))
    answer = talk.bob.call("POST", f"{CLIENT}/keys/query", {"device_keys": {account.user_id: []}})
    assert answer["device_keys"][account.user_id][account.device_id]["keys"] == keys["keys"]


def _picture() -> bytes:
    """A PNG of 64 by 64 pixels, unlike every other."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + secrets.token_bytes(3 * 64) for _ in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_picture_is_shared(talk: Talk) -> None:
    """One uploads, the other downloads it, and a smaller one."""
    picture = _picture()
    mxc = talk.alice.upload(picture, "image/png")

    assert talk.bob.download(mxc) == picture
    path = f"{MEDIA}/thumbnail/{mxc.removeprefix('mxc://')}?width=32&height=32&method=crop"
    thumbnail = talk.bob.request("GET", path)
    assert thumbnail.status_code == 200
    assert thumbnail.headers["Content-Type"].startswith("image/")
    assert 0 < len(thumbnail.content) < len(picture)


def test_media_need_a_login(talk: Talk, fleet: Deployment) -> None:
    """Who is not logged in sees no media."""
    mxc = talk.alice.upload(secrets.token_bytes(16), "text/plain")
    with fleet.client() as nobody:
        answer = nobody.request("GET", f"{MEDIA}/download/{mxc.removeprefix('mxc://')}")

    assert answer.status_code == 401


def test_largest_upload(talk: Talk, fleet: Deployment) -> None:
    """nginx lets through what Synapse takes, and not a byte more."""
    text = str(fleet.topology.options["synapse_max_upload_size"])
    largest = int(text[:-1]) * SIZES[text[-1]]

    assert talk.alice.call("GET", f"{MEDIA}/config")["m.upload.size"] == largest
    assert talk.bob.download(talk.alice.upload(bytes(largest))) == bytes(largest)
    assert _announce_upload(fleet, largest + 1) == 413


def _announce_upload(fleet: Deployment, size: int) -> int:
    """Return the status of an upload of which only the head is sent."""
    connection = http.client.HTTPSConnection(fleet.address, context=fleet.trust(), timeout=10)
    connection.putrequest("POST", "/_matrix/media/v3/upload")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("port", [443, 8448])
def test_tls(port: int, fleet: Deployment) -> None:
    """The certificate of the inventory, for the public name, modern TLS, and HTTP/2."""
    context = fleet.trust()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((fleet.address, port), 10) as plain,
        context.wrap_socket(plain, server_hostname=fleet.public_name) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("port", [443, 8448])
def test_old_tls_is_refused(port: int, fleet: Deployment) -> None:
    """TLS 1.1 is not spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((fleet.address, port), 10) as plain,
        pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain)


def test_http2_is_spoken(fleet: Deployment) -> None:
    """A client that can, does."""
    with fleet.client() as client:
        assert client.request("GET", "/_matrix/client/versions").http_version == "HTTP/2"


def test_other_servers_find_what_they_need(talk: Talk, fleet: Deployment) -> None:
    """On their own port: the version, the keys, federation and media."""
    with fleet.client(port=8448) as server:
        version = server.call("GET", "/_matrix/federation/v1/version")["server"]
        keys = server.call("GET", "/_matrix/key/v2/server")

        assert version == {"name": "Synapse", "version": str(fleet.topology.release)}
        assert keys["server_name"] == fleet.topology.server_name
        assert server.request("PUT", "/_matrix/federation/v1/send/1", body={}).status_code == 401
        assert server.request("GET", "/_matrix/federation/v1/media/download/x").status_code == 401
    mxc = talk.alice.upload(b"for all", "text/plain")
    with fleet.client(talk.bob.account, port=8448) as other:
        assert other.download(mxc) == b"for all"


@pytest.mark.parametrize("port", [443, 8448])
def test_well_known(port: int, fleet: Deployment) -> None:
    """Both answers name the place that serves, and browsers may read the one that is theirs."""
    # Synapse writes the slash, too.
    base = str(fleet.topology.options["synapse_public_baseurl"]).rstrip("/") + "/"
    with fleet.client(port=port) as client:
        server = client.request("GET", "/.well-known/matrix/server")
        user = client.request("GET", "/.well-known/matrix/client")

    assert server.json() == {"m.server": f"{fleet.public_name}:443"}
    assert user.json() == {"m.homeserver": {"base_url": base}}
    assert user.headers["Access-Control-Allow-Origin"] == "*"
    assert {answer.headers["Content-Type"] for answer in (server, user)} == {"application/json"}


def test_plain_http_leads_to_https(fleet: Deployment) -> None:
    """Nothing is served without TLS."""
    connection = http.client.HTTPConnection(fleet.address, 80, timeout=10)
    connection.request("GET", "/_matrix/client/versions?a=b", headers={"Host": fleet.public_name})
    answer = connection.getresponse()

    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{fleet.public_name}/_matrix/client/versions?a=b"
    connection.close()


def test_errors_are_what_clients_expect(fleet: Deployment) -> None:
    """An unknown path is answered by Synapse, in JSON, with the headers that browsers need."""
    with fleet.client() as client:
        answer = client.request("GET", "/_matrix/client/v3/no_such_thing")

    assert (answer.status_code, json.loads(answer.text)["errcode"]) == (404, "M_UNRECOGNIZED")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
