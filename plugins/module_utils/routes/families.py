# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of path families: the first words of paths, their clients, and the processes that may serve them.

Private to the collection. nginx's map of families, the shapes of rules, the readers of what no rule names, the picture
and the audit are computed from it. A route in no family is an error in the tests.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Optional, Tuple


class Access(enum.Enum):
    """The clients that a family is open to."""

    PUBLIC = enum.auto()
    ADMIN = enum.auto()
    """Only those in nginx_admin_allowed."""
    NGINX = enum.auto()
    """nginx answers itself, or not at all."""
    CLOSED = enum.auto()
    """None: nginx refuses it."""


class Audience(enum.Enum):
    """The programs that ask for a family."""

    CLIENTS = "client"
    SERVERS = "federation"
    MEDIA = "media"


@dataclass(frozen=True)
class Family:
    """Paths with the same first words.

    Attributes:
        name: the first word of its shapes and tables.
        path: the beginning of its paths; a folder if it ends in '/', else a path and what is below it.
        versions: regular expressions of the words that may follow as a version.
        by_word: each first word after the version has a table of its own (``client/rooms``), else the family has one.
        bare: main answers its folder without the '/'.
        reader: the duty of what no rule names; None if only main serves it.
        wholesale: workers serve all of its routes, so what a release adds to them is for workers as well.
        access: the clients that it is open to.
        audience: the programs that ask for it.
    """

    name: str
    path: str
    versions: Tuple[str, ...] = ()
    by_word: bool = False
    bare: bool = False
    reader: Optional[str] = "client_reader"
    wholesale: bool = False
    access: Access = Access.PUBLIC
    audience: Audience = Audience.CLIENTS

    @property
    def is_folder(self) -> bool:
        """Whether only paths below it are of it."""
        return self.path.endswith("/") and self.path != "/"

    @property
    def parent(self) -> str:
        """The folder that it is in, with its '/'."""
        return self.path.rstrip("/").rsplit("/", 1)[0] + "/"

    @property
    def word(self) -> str:
        """The last word of its path; nothing for the root."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def has(self, path: str) -> bool:
        """Returns whether a path, raw or a template, is of it."""
        if self.is_folder:
            return path.startswith(self.path)
        rest = path[len(self.path) :] if path.startswith(self.path) else None
        return rest == "" or (rest is not None and self.path != "/" and rest[0] in "/?{*")


_VERSIONS = ("api/v1", "r0", "v[0-9]+", "unstable")

FAMILIES: Tuple[Family, ...] = (
    Family("client", "/_matrix/client/", _VERSIONS, by_word=True, bare=True),
    Family(
        "federation",
        "/_matrix/federation/",
        _VERSIONS,
        reader="federation_reader",
        wholesale=True,
        audience=Audience.SERVERS,
    ),
    Family("key", "/_matrix/key/", _VERSIONS, reader="federation_reader", wholesale=True, audience=Audience.SERVERS),
    Family("media", "/_matrix/media/", _VERSIONS, bare=True, reader="media", wholesale=True, audience=Audience.MEDIA),
    Family("saml2", "/_matrix/saml2/", _VERSIONS),
    Family("admin", "/_synapse/admin/", ("v[0-9]+",), by_word=True, access=Access.ADMIN),
    Family("synapse", "/_synapse/client/", by_word=True),
    Family("mas", "/_synapse/mas/", wholesale=True, access=Access.ADMIN),
    Family("jwks", "/_synapse/jwks"),
    Family("static", "/_matrix/static", reader=None),
    Family("consent", "/_matrix/consent", reader=None),
    Family("well_known", "/.well-known", reader=None, access=Access.NGINX),
    Family("root", "/", reader=None),
    # systemd and the roles ask for it on the sockets.
    Family("health", "/health", reader=None, access=Access.CLOSED),
)


def family_of(path: str) -> Optional[Family]:
    """Returns the family of a path, raw or a template; None if it is in none."""
    return next((family for family in FAMILIES if family.has(path)), None)


def is_internal(path: str) -> bool:
    """Returns whether a path is only for those in nginx_admin_allowed."""
    return any(family.access is Access.ADMIN and family.has(path) for family in FAMILIES)


def shape_of(path: str) -> str:
    """Returns a path without its version, by the name of its family: ``client/rooms/*/messages``.

    Paths of families that only main serves, and of none, give themselves.

    Args:
        path: a path with ``*`` for each variable part.
    """
    family = family_of(path)
    if family is None or family.reader is None:
        return path
    rest = path[len(family.path) :]
    if not family.is_folder:
        return f"{family.name}{rest}"
    if family.versions:
        rest = re.sub(rf"^(?:\*|{'|'.join(family.versions)})/", "", rest)
    return f"{family.name}/{rest}"


__all__ = ("FAMILIES", "Access", "Audience", "Family", "family_of", "is_internal", "shape_of")
