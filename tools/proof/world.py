# SPDX-License-Identifier: GPL-3.0-or-later
"""What the requests are about: users, rooms, media, devices, keys, and another server, all of them real.

A request names them in braces. `{room}` is there once, and both processes are asked about the same one; `{new_room}` is
made for each request, because the request changes it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.matrix import encoded
from tools.proof.errors import ProofError
from tools.proof.host import Answer, Host, Process
from tools.proof.signing import ROOM_VERSION, Server, event_id

C = "/_matrix/client/v3"
F = "/_matrix/federation"
PASSWORD = "proof"  # noqa: S105  # of users on a host that is thrown away
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
APPSERVICE = {"id": "molecule", "token": "molecule_as", "user": "molecule_bot"}
"""The application service that `molecule/resources/prepare.yml` registers."""

_NAME = re.compile(r"\{([a-z_0-9]+)\}")
OUTSIDER = 9180
"""The port of `outsider.py`."""
OUTSIDE = f"http://127.0.0.1:{OUTSIDER}"
_UNLIMITED_SQL = "INSERT INTO ratelimit_override (user_id, messages_per_second, burst_count) VALUES ('{}', 0, 0);"
_KEY_SQL = """
INSERT INTO server_signature_keys (server_name, key_id, from_server, ts_added_ms, ts_valid_until_ms, verify_key)
  VALUES ('{server}', '{key_id}', '{server}', 0, {until}, decode('{key}', 'base64'));
INSERT INTO server_keys_json (server_name, key_id, from_server, ts_added_ms, ts_valid_until_ms, key_json)
  VALUES ('{server}', '{key_id}', '{server}', 0, {until}, decode('{text}', 'base64'));
"""


@dataclass(frozen=True)
class User:
    """A user that is logged in."""

    user_id: str
    device_id: str
    token: str = field(repr=False)

    @property
    def localpart(self) -> str:
        """The name without the server."""
        return self.user_id[1:].partition(":")[0]


def authentication(answer: Answer, user: User | None) -> dict[str, Any] | None:
    """Returns what a request has to add that asks its user to authenticate; None for an answer that asks nothing."""
    asked = answer.json if answer.status == 401 else None
    if not isinstance(asked, dict) or "flows" not in asked:
        return None
    if any("m.login.dummy" in flow["stages"] for flow in asked["flows"]):
        return {"type": "m.login.dummy", "session": asked["session"]}
    identifier = {"type": "m.id.user", "user": user.user_id if user is not None else ""}
    return {
        "type": "m.login.password",
        "identifier": identifier,
        "password": PASSWORD,
        "session": asked["session"],
    }


def word() -> str:
    """Returns a word that nobody has used."""
    return f"p{secrets.token_hex(6)}"


class World:
    """What is there for all requests, made when the first one names it.

    Attributes:
        host: the host of the fleet.
        server: the name of the homeserver.
        peer: a server that exists only in what it signs.
    """

    def __init__(self, host: Host, server: str, doors: Mapping[str, Process], *, delegated: bool) -> None:
        """Takes the fleet.

        Args:
            host: its host.
            server: its name.
            doors: main, and a process for each duty that workers have.
            delegated: whether logins are left to Matrix Authentication Service.
        """
        self.host = host
        self.server = server
        self._doors = doors
        self._delegated = delegated
        self._made: dict[str, Any] = {}
        self.peer = Server(f"{word()}.example.com")

    # Requests that set something up.

    def call(self, method: str, target: str, body: object = None, *, user: User | None = None, at: str = "main") -> Any:
        """Sends a request to main, or to the process with a duty that main may not have, and returns its JSON.

        Raises:
            ProofError: it was refused.
        """
        headers = {"Content-Type": "application/json"}
        if user is not None:
            headers["Authorization"] = f"Bearer {user.token}"
        content = None if body is None else json.dumps(body).encode()
        return self._checked(method, target, self._door(at).ask(method, target, content, headers))

    def _door(self, at: str) -> Process:
        return self._doors.get(at, self._doors["main"])

    def federation(self, method: str, target: str, body: object = None) -> Any:
        """Sends a request of the other server and returns its JSON."""
        self.once("peer_key")
        headers = {"Authorization": self.peer.authorization(method, target, self.server, body)}
        content = None if body is None else json.dumps(body).encode()
        return self._checked(method, target, self._doors["main"].ask(method, target, content, headers))

    def call_with_password(self, method: str, target: str, body: Mapping[str, Any], user: User) -> Any:
        """Sends a request to main that may ask for the user's password, and returns its JSON."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {user.token}"}
        main = self._doors["main"]
        answer = main.ask(method, target, json.dumps(body).encode(), headers)
        if (auth := authentication(answer, user)) is not None:
            answer = main.ask(method, target, json.dumps({**body, "auth": auth}).encode(), headers)
        return self._checked(method, target, answer)

    def synapse(self, program: str, *arguments: str) -> str:
        """Runs a program with the Python of the installed release and returns what it printed."""
        words = ["/opt/matrix-synapse/current/bin/python", "-c", program, *arguments]
        return self.host.shell(shlex.join(words)).strip()

    def sql(self, text: str) -> str:
        """Runs statements in the database of the fleet."""
        found = self.host.shell("runuser -u postgres -- psql -qAt -v ON_ERROR_STOP=1 -d synapse", text)
        return found.strip()

    @staticmethod
    def _checked(method: str, target: str, answer: Answer) -> Any:
        if answer.status != 200:
            raise ProofError(f"{method} {target}: {answer.status} {answer.content[:300].decode(errors='replace')}")
        return answer.json

    # Names.

    def once(self, name: str) -> Any:
        """Returns what a name stands for, the same each time."""
        if name not in self._made:
            maker = getattr(self, f"make_{name}", None)
            if maker is None:
                raise ProofError(f"a request names {{{name}}}, which nothing makes: add World.make_{name}.")
            self._made[name] = maker()
        return self._made[name]

    # Users.

    def register(self, *, admin: bool = False) -> User:
        """Makes a user, as `register_new_matrix_user` does."""
        name = word()
        if self._delegated:
            return self._provisioned(name, admin=admin)
        path = "/_synapse/admin/v1/register"
        nonce = self.call("GET", path)["nonce"]
        told = [nonce, name, PASSWORD, "admin" if admin else "notadmin"]
        body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": admin, "mac": self._mac(told)}
        made = self.call("POST", path, body)
        return User(made["user_id"], made["device_id"], made["access_token"])

    def _provisioned(self, name: str, *, admin: bool) -> User:
        """Makes a user of an authentication service, which takes the name for its token."""
        mas = User("", "", MAS_SECRET)
        self.call("POST", "/_synapse/mas/provision_user", {"localpart": name}, user=mas)
        self.call("POST", "/_synapse/mas/upsert_device", {"localpart": name, "device_id": "PROOF"}, user=mas)
        return User(f"@{name}:{self.server}", "PROOF", f"{'admin' if admin else 'user'}.{name}.PROOF")

    # The request of `register_new_matrix_user` is signed with a secret of the homeserver.

    def _mac(self, told: list[str]) -> str:
        key = self.once("registration_secret")
        return hmac.new(key.encode(), "\0".join(told).encode(), hashlib.sha1).hexdigest()

    def make_alice(self) -> User:
        """Makes the user that creates all rooms, more than a user may."""
        alice = self.register()
        self.sql(_UNLIMITED_SQL.format(alice.user_id))
        return alice

    def make_bob(self) -> User:
        return self.register()

    def make_admin(self) -> User:
        return self.register(admin=True)

    def make_appservice(self) -> User:
        return User(f"@{APPSERVICE['user']}:{self.server}", "", APPSERVICE["token"])

    def make_mas(self) -> User:
        return User("", "", MAS_SECRET)

    def make_user(self) -> str:
        return str(self.once("alice").user_id)

    def make_user_name(self) -> str:
        return str(self.once("alice").localpart)

    def make_bob_id(self) -> str:
        return str(self.once("bob").user_id)

    def make_device(self) -> str:
        return str(self.once("alice").device_id)

    def make_server(self) -> str:
        return self.server

    def make_peer(self) -> str:
        return self.peer.name

    def make_peer_user(self) -> str:
        return f"@peer:{self.peer.name}"

    def make_registration_secret(self) -> str:
        return self.host.shell("cat /etc/matrix-synapse/secrets/registration_shared_secret").strip()

    # Rooms.

    def room(self, user: User, **settings: Any) -> str:
        """Makes a room that everybody may join, also from other servers."""
        settings = {"preset": "public_chat", "room_version": ROOM_VERSION, "name": "proof", **settings}
        return str(self.call("POST", f"{C}/createRoom", settings, user=user)["room_id"])

    def send(self, room: str, user: User, content: Mapping[str, Any], kind: str = "m.room.message") -> str:
        """Sends an event."""
        path = f"{C}/rooms/{encoded(room)}/send/{kind}/{word()}"
        return str(self.call("PUT", path, content, user=user)["event_id"])

    def join(self, room: str, user: User) -> None:
        """Lets a user join."""
        self.call("POST", f"{C}/rooms/{encoded(room)}/join", {}, user=user)

    def make_alias(self) -> str:
        self.once("room")
        return f"#{self.once('alias_name')}:{self.server}"

    def make_alias_name(self) -> str:
        return word()

    def make_room(self) -> str:
        room = self.room(self.once("alice"), room_alias_name=self.once("alias_name"), visibility="public")
        self.join(room, self.once("bob"))
        return room

    def make_busy_room(self) -> str:
        return self.room(self.once("alice"))

    def make_event(self) -> str:
        return self.send(self.once("room"), self.once("alice"), {"msgtype": "m.text", "body": "proof"})

    def make_thread(self) -> str:
        root = self.once("event")
        relation = {"rel_type": "m.thread", "event_id": root}
        content = {"msgtype": "m.text", "body": "reply", "m.relates_to": relation}
        self.send(self.once("room"), self.once("bob"), content)
        return str(root)

    def make_page(self) -> str:
        return f"{OUTSIDE}/page"

    def make_filter(self) -> str:
        alice = self.once("alice")
        return str(self.call("POST", f"{C}/user/{encoded(alice.user_id)}/filter", {}, user=alice)["filter_id"])

    def make_since(self) -> str:
        self.once("event")
        return str(self.call("GET", f"{C}/sync?timeout=0", user=self.once("alice"))["next_batch"])

    # Media.

    def upload(self, user: User, content: bytes, kind: str) -> str:
        """Uploads media and returns their ID."""
        headers = {"Content-Type": kind, "Authorization": f"Bearer {user.token}"}
        target = "/_matrix/media/v3/upload"
        answer = self._checked("POST", target, self._door("media").ask("POST", target, content, headers))
        return str(answer["content_uri"]).rpartition("/")[2]

    def make_media(self) -> str:
        # What was quarantined once stays so, by its content.
        return self.upload(self.once("alice"), word().encode(), "text/plain")

    def make_picture(self) -> str:
        return self.upload(self.once("alice"), PNG, "image/png")

    # The other server.

    def make_peer_key(self) -> str:
        """The database knows the key, as if it had been fetched: nobody could be asked for it."""
        text = json.dumps(self.peer.keys()).encode()
        self.sql(
            _KEY_SQL.format(
                server=self.peer.name,
                key_id=self.peer.key_id,
                until=int(time.time() * 1000) + 86_400_000,
                key=self.peer.public_key + "=" * (-len(self.peer.public_key) % 4),
                text=base64.b64encode(text).decode(),
            )
        )
        return self.peer.key_id

    def make_peer_room(self) -> str:
        """A room that the other server is in."""
        room = self.room(self.once("alice"), visibility="public")
        self.peer_joins(room, self.once("peer_user"))
        return room

    def make_peer_event(self) -> str:
        return self.send(self.once("peer_room"), self.once("alice"), {"msgtype": "m.text", "body": "proof"})

    def peer_member(self, room: str, user: str, membership: str = "join") -> dict[str, Any]:
        """Returns the event with which a user of the other server joins, leaves or knocks."""
        path = f"{F}/v1/make_{membership}"
        template = self.federation("GET", f"{path}/{encoded(room)}/{encoded(user)}?ver={ROOM_VERSION}")["event"]
        return self.peer.event(template)

    def peer_joins(self, room: str, user: str) -> None:
        """Lets a user of the other server join."""
        event = self.peer_member(room, user)
        self.federation("PUT", f"{F}/v2/send_join/{encoded(room)}/{encoded(event_id(event))}", event)


MAS_SECRET = "proof_of_mas"  # noqa: S105  # of a host that is thrown away


class Exchange:
    """One request to one process, with what is made for it alone.

    Attributes:
        world: what is there for all.
        process: the process that is asked; also for requests that have to come before, in the same process.
        names: what the names of this request stand for.
        cookies: what the process has set, by requests that came before.
        kept: what a case has built and needs again.
    """

    def __init__(self, world: World, process: Process) -> None:
        self.world = world
        self.process = process
        self.names: dict[str, Any] = {}
        self.cookies: dict[str, str] = {}
        self.kept: Any = None

    @staticmethod
    def blank(text: str) -> str:
        """Returns a text with a word in place of each name."""
        return _NAME.sub("x", text)

    @staticmethod
    def names_in(text: str) -> list[str]:
        """Returns the names in a text."""
        return _NAME.findall(text)

    def ask(self, method: str, target: str, form: str | None = None) -> Answer:
        """Sends a request of nobody to the process, a form if it is given, and keeps the cookies."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **self.cookie_header()}
        answer = self.process.ask(method, target, None if form is None else form.encode(), headers)
        self.cookies |= answer.cookies
        return answer

    def cookie_header(self) -> dict[str, str]:
        """Returns the header with the cookies that were set."""
        text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": text} if text else {}

    def spelt(self) -> dict[str, str]:
        """Returns what the names stand for that are texts."""
        return {name: value for name, value in self.names.items() if isinstance(value, str)}

    def get(self, name: str) -> Any:
        """Returns what a name stands for."""
        if name not in self.names:
            maker: Callable[[], Any] | None = getattr(self, f"make_{name}", None)
            if maker is None:
                return self.world.once(name)
            self.names[name] = maker()
        return self.names[name]

    def fill(self, value: Any, quote: Callable[[str], str] = str) -> Any:
        """Puts what names stand for into a text, or into all texts of a body."""
        if isinstance(value, Mapping):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        return _NAME.sub(lambda found: quote(str(self.get(found[1]))), value)

    # What is made for one request.

    def make_new(self) -> str:
        return word()

    def make_new2(self) -> str:
        return word()

    def make_new_user(self) -> User:
        user = self.world.register()
        self.names |= {"new_user_id": user.user_id, "new_user_name": user.localpart, "new_device": user.device_id}
        return user

    def make_new_user_id(self) -> str:
        return str(self.get("new_user").user_id)

    def make_new_user_name(self) -> str:
        return str(self.get("new_user").localpart)

    def make_new_device(self) -> str:
        return str(self.get("new_user").device_id)

    def make_new_room(self) -> str:
        return self.world.room(self.world.once("alice"))

    def make_new_room_with_bob(self) -> str:
        room = self.world.room(self.world.once("alice"))
        self.world.join(room, self.world.once("bob"))
        return room

    def make_new_event(self) -> str:
        content = {"msgtype": "m.text", "body": "proof"}
        return self.world.send(self.get("busy_room"), self.world.once("alice"), content)

    def make_new_alias(self) -> str:
        return f"#{word()}:{self.world.server}"

    def make_new_media(self) -> str:
        return self.world.upload(self.world.once("alice"), word().encode(), "text/plain")
