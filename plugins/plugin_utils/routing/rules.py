# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules: the duty of each family of routes. Routes without a rule belong to the reader of their kind.

The routes themselves are Synapse's (``registry.py``); the balancing and the fallback of a duty are attributes of the
duty (``model/duties.py``). So a rule is a line: a duty, and the shapes of paths that it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import family_of, shape_of
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import without_variable_parts

from ..model.duties import DUTIES
from ..model.releases import Release
from .registry import Route, registry


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Routes of one duty.

    Attributes:
        duty: the name of the duty; None leaves the routes to the main process.
        shapes: patterns for what ``shape`` gives; ``*`` stands for anything.
        methods: the methods it is for; empty for all.
        initial: the duty of those requests that carry no ``since``: they begin a sync.
        reason: why main keeps what a worker could serve.
    """

    duty: str | None
    shapes: tuple[str, ...]
    methods: tuple[str, ...] = ()
    initial: str | None = None
    reason: str | None = None


def _rule(duty: str | None, *shapes: str, methods: str = "", initial: str | None = None) -> Rule:
    return Rule(duty=duty, shapes=shapes, methods=tuple(methods.split()), initial=initial)


# The first rule that fits decides; what is asked for most comes first, because nginx reads the tables in this order.
RULES: tuple[Rule, ...] = (
    _rule("sync", "client/sync", initial="initial_sync"),
    _rule("sync", "client/events"),
    _rule("sliding_sync", "client/org.matrix.simplified_msc3575/sync"),
    _rule("initial_sync", "client/initialSync", "client/rooms/*/initialSync"),
    # Writes of streams. A stream's reads are for any reader, but where the writer has them in its memory.
    _rule("typing", "client/rooms/*/typing/*"),
    _rule("receipts", "client/rooms/*/receipt/*", "client/rooms/*/read_markers"),
    _rule("to_device", "client/sendToDevice/*"),
    _rule("push_rules", "client/pushrules/*", methods="PUT DELETE"),
    _rule("presence", "client/presence/*"),
    _rule("account_data", "client/user/*/account_data*", "client/user/*/tags*", "client/org.matrix.msc3391/*"),
    _rule("device_lists", "client/devices*", "client/delete_devices*", "client/keys/upload*"),
    _rule("device_lists", "client/keys/device_signing/upload*", "client/keys/signatures/upload*"),
    _rule("thread_subscriptions", "client/io.element.msc4306/*", methods="PUT DELETE"),
    _rule(
        "quarantined_media_changes",
        "admin/quarantine_media/*",
        "admin/room/*/media/quarantine",
        "admin/user/*/media/quarantine",
        "admin/media/quarantine/*",
        "admin/media/unquarantine/*",
    ),
    # All that names a room, or is about to create an event in one.
    _rule("room", "client/rooms/*/send/*", "client/rooms/*/messages", "client/rooms/*/members"),
    _rule("room", "client/rooms/*", "client/join/*", "client/knock/*", "client/room_summary/*"),
    # Media, for clients, other servers and admins.
    _rule("media", "media/*", "client/media/*", "federation/media/*"),
    _rule("media", "admin/purge_media_cache", "admin/media/*", "admin/room/*/media*", "admin/user/*/media*"),
    _rule("media", "admin/users/*/media"),
    # Single sign-on: the choice of an identity provider and of a name lives in one process.
    _rule("sso", "client/login/sso/*", "client/login/cas/*", "client/login/*/redirect*"),
    _rule("sso", "synapse/pick_idp*", "synapse/pick_username*", "synapse/new_user_consent*", "synapse/sso_register*"),
    _rule("sso", "synapse/oidc/*", "synapse/saml2/*", "saml2/*"),
    Rule(
        duty=None,
        shapes=("synapse/rendezvous*",),
        reason="a session of a rendezvous is in the memory of the process that made it, and only main makes them",
    ),
    _rule("login", "client/login", "client/register", "client/register/available", "client/password_policy"),
    _rule("login", "client/register/m.login.registration_token/*"),
    _rule("user_directory", "client/user_directory/search"),
    _rule("federation_inbound", "federation/send/*"),
)


@lru_cache(maxsize=4096)
def shape(path: str) -> str:
    """Returns the kind of a path without its version, ``*`` for each id: ``client/rooms/*/messages``.

    Paths outside of the public prefixes give themselves.
    """
    return shape_of(without_variable_parts(path))


def table_name(path: str) -> str:
    """Returns the first words of a shape, by which nginx finds a path's table: ``client/rooms``, ``federation``."""
    family = family_of(path)
    if family is not None and not family.by_word:
        return family.name
    return "/".join(shape(path).split("/")[:2]).rstrip("*")


@lru_cache(maxsize=4096)
def rule_of(route: Route) -> Rule | None:
    """Returns the rule that decides a route, None if none names it."""
    text = shape(route.path)
    for rule in RULES:
        if rule.methods and not set(route.methods) <= set(rule.methods):
            continue
        if any(fnmatchcase(text, pattern) for pattern in rule.shapes):
            return rule
    return None


def duty_of(route: Route) -> str | None:
    """Returns the duty that a route is for: its rule's, else the reader's of its kind; None for main."""
    if not route.worker:
        return None
    rule = rule_of(route)
    if rule is not None:
        return rule.duty
    if route.needs_media:
        return "media"
    family = family_of(route.path)
    return None if family is None else family.reader


@lru_cache(maxsize=1)
def kept_on_main() -> Mapping[str, str]:
    """Returns the templates of all paths that main keeps although a worker could serve them, with the reason."""
    found = {}
    for route in registry().routes:
        rule = rule_of(route)
        if route.worker and rule is not None and rule.reason is not None:
            found[route.path] = rule.reason
    return MappingProxyType(found)


def uncovered(route: Route, release: Release) -> str | None:
    """Returns why a route of a release needs a rule that it has not got, None if all is well.

    A write that only the stream's writer serves, and a request whose session is in one process, must be named: the
    reader to which they would fall cannot answer them. While only main can write a stream, its writes go to main
    without a rule.
    """
    if family_of(route.path) is None:
        return "it is in none of the families of module_utils/routes/families.py, so nginx would refuse it"
    if not route.worker:
        return None
    rule = rule_of(route)
    if route.writes is not None and DUTIES[route.writes].since <= release:
        stream = DUTIES[rule.duty].stream if rule is not None and rule.duty is not None else None
        if stream != route.writes:
            return f"it writes the stream {route.writes}, and no rule sends it to the writer"
    if route.session and (rule is None or (rule.duty is not None and not DUTIES[rule.duty].single)):
        return "its session is in the memory of one process, and no rule keeps it there"
    return None
