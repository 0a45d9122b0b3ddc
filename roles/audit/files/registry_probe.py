# SPDX-License-Identifier: GPL-3.0-or-later
"""Print which requests the main process and a worker of the installed Synapse release serve, as one JSON document.

    VENV/bin/python registry_probe.py              {"release": "1.163.2", "routes": […]}
    VENV/bin/python registry_probe.py --explain    on stderr too: by which functions a stream or session is reached

Both processes are built for real from a synthetic configuration in a temporary folder, on SQLite, without a reactor
that runs: nothing listens and nothing is sent. What they register is read from their resource trees, once for each
listener resource, and again with each setting that guards a registration switched on. Then the code of each servlet is
followed, as a process runs it that may write no stream.

Each route, in the order in which Synapse looks for them:

    path      template of the whole raw path: {name} is one segment, {name:regex} anything else, all the rest literal
    methods   as they are registered; HEAD goes with GET, OPTIONS with all
    main      the listener resources on which the main process serves it
    worker    the listener resources on which a worker serves it
    when      the settings that it needs, joined by " + ", "!" before one that has to be off; null if it is there by
              default, as what is guarded by an experimental flag that is on by default
    writes    the stream whose writer alone can serve it, every other process answering 500; null if any will do
    session   whether it uses a session in the memory of one process
    lacks     what the objects of a worker have not got although those of main have, and the servlet uses: workers
              register such a route, but answer 500, so that they are not in `worker`; left out if there is nothing
    servlet   the name of its class

Several entries for one path and method hold beside each other, each under its own condition.

Source: Synapse's app/homeserver.py, app/generic_worker.py, rest/, federation/transport/server/ at 1.84 to 1.163.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import inspect
import json
import logging
import os
import re
import sys
import tempfile
import textwrap
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from re import _constants as sre_constants  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple
from unittest import mock

RESOURCES = ("client", "federation", "media", "keys", "openid", "static", "consent")
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
VERSIONS = ("api/v1", "r0", "v1", "v2", "v3", "unstable")
SUBTREE = "{rest:(?:/.*)?}"
MEDIA = "enable_media_repo"
MAS = "matrix_authentication_service"


class ProbeError(Exception):
    """The installed release cannot be read; the text says which part, why, and what to do."""


# --- Paths -----------------------------------------------------------------------------------------------------------

_PREFIX = re.compile(r"(/_(?:matrix/(?:client|federation|key|media)|synapse/admin)/)")
_QUANTIFIER = re.compile(r"[?*+]\??|\{\d*,?\d*\}")
_SEGMENT = re.compile(r"\[\^/\][*+]\Z")
_NAMED = re.compile(r"\?P<([^>]+)>")
_LITERAL = re.compile(r"(?:(?:[\w-]|\\\.)+/)+|(?:[\w-]|\\\.)+\Z")
_CAPTURE = re.compile(r"\\.|\[[^\]]*\]|\((?!\?)")


def _closing(pattern: str, start: int) -> int:
    """Returns the place behind the group or class that opens at start."""
    depth, index, in_class = 0, start, False
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            # The first character of a class is never its end.
            index += 2 if pattern[index + 1 : index + 2] == "^" else 1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        if depth == 0 and not in_class:
            return index + 1
        index += 1
    raise ProbeError(f"the pattern {pattern!r} does not close what it opens at {start}")


def _atoms(pattern: str) -> Iterator[tuple[str, str]]:
    """Splits a pattern into its atoms, each with its quantifier."""
    index = 0
    while index < len(pattern):
        if pattern[index] == "\\":
            end = index + 2
        elif pattern[index] in "([":
            end = _closing(pattern, index)
        else:
            end = index + 1
        quantifier = _QUANTIFIER.match(pattern, end)
        repeat = quantifier.group() if quantifier else ""
        yield pattern[index:end], repeat
        index = end + len(repeat)


def _anonymous(regex: str) -> str:
    """Returns the regular expression with groups that capture nothing."""
    return _CAPTURE.sub(lambda found: "(?:" if found.group() == "(" else found.group(), _NAMED.sub("?:", regex))


@functools.cache
def template(pattern: str) -> str:
    """Turns a regular expression of Synapse's into a template of the whole raw path.

    Args:
        pattern: as it was given to ``re.compile``, anchored at its start by ``match`` if not by ``^``.

    Returns:
        literals as they are, ``{name}`` for a segment, ``{name:regex}`` for everything else.

    Raises:
        ProbeError: the pattern has alternatives outside of any group, or a group that does not close.
    """
    body = pattern[1:] if pattern.startswith("^") else pattern
    anchored = body.endswith("$") and not body.endswith("\\$")
    parts = _Parts()
    for atom, repeat in _atoms(body[:-1] if anchored else body):
        if atom == "|":
            raise ProbeError(f"the pattern {pattern!r} has alternatives outside of a group")
        if atom.startswith("("):
            parts.group(atom, repeat)
        elif atom == "/" and repeat == "?":
            parts.field("slash", "/?")
        elif repeat or atom.startswith("[") or re.match(r"\\[A-Za-z]", atom):
            parts.field("part", atom + repeat)
        else:
            # A lone dot is one that somebody forgot to escape.
            parts.found.append(atom.replace("\\", ""))
    last = parts.found[-1]
    if last.startswith("{part") and last.endswith(":.*}"):
        parts.found[-1] = "{rest:.*}"
    elif not anchored and not last.endswith(":.*}"):
        # What is open at its end takes everything.
        parts.field("rest", ".*")
    return "".join(parts.found)


class _Parts:
    """The parts of a template, with a name of its own for each field."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._used: set[str] = set()

    def field(self, name: str, regex: str) -> None:
        base, number = name, 2
        while name in self._used:
            name, number = f"{base}{number}", number + 1
        self._used.add(name)
        self.found.append(f"{{{name}}}" if _SEGMENT.match(regex) else f"{{{name}:{regex}}}")

    def group(self, atom: str, repeat: str) -> None:
        names = _NAMED.findall(atom)
        inner = _anonymous(re.sub(r"\A\?(?:P<[^>]+>|:)", "", atom[1:-1]))
        name = names[0] if names else "version" if _PREFIX.fullmatch("".join(self.found)) else "part"
        literal = None if repeat or "|" in inner else _LITERAL.match(inner)
        if literal:
            # Some groups begin with a part of the path that is always the same.
            self.found.append(literal.group().replace("\\", ""))
            inner = inner[literal.end() :]
        if inner:
            self.field(name, f"(?:{inner}){repeat}" if repeat else inner)


def split_version(path: str) -> tuple[str, tuple[str, ...], str]:
    """Splits a template into what is before its API versions, these, and what is behind (no versions: all before)."""
    prefix = _PREFIX.match(path)
    if not prefix:
        return path, (), ""
    rest = path[prefix.end() :]
    group = re.match(r"\{version:([^}]*)\}", rest)
    if group and set(group.group(1).split("|")) <= set(VERSIONS):
        return prefix.group(), tuple(group.group(1).split("|")), rest[group.end() :]
    for version in VERSIONS:
        if rest.startswith(version + "/"):
            return prefix.group(), (version,), rest[len(version) :]
    return path, (), ""


def join_versions(prefix: str, versions: Iterable[str], rest: str) -> str:
    """The opposite of `split_version`, the versions in their fixed order."""
    ordered = sorted(set(versions), key=VERSIONS.index)
    if not ordered:
        return prefix
    return prefix + (ordered[0] if len(ordered) == 1 else "{{version:{}}}".format("|".join(ordered))) + rest


@functools.cache
def sample(pattern: str) -> str:
    """Returns a path that the regular expression matches, as Synapse would see it."""
    return "".join(_sample(sre_parser.parse(pattern)))


def _sample(parsed: Any, repeated: bool = False) -> Iterator[str]:
    for operation, value in parsed:
        name = str(operation)
        if name == "LITERAL":
            yield chr(value)
        elif name in ("ANY", "NOT_LITERAL"):
            yield "q" if repeated else "."
        elif name == "IN":
            yield (
                next((chr(item[1]) for item in value if str(item[0]) == "LITERAL" and chr(item[1]) != "/"), "q")
                if (str(value[0][0]) != "NEGATE")
                else "q"
            )
        elif name == "BRANCH":
            yield from _sample(value[1][0])
        elif name == "SUBPATTERN":
            yield from _sample(value[-1])
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            least, _most, inner = value
            if least or _most is sre_constants.MAXREPEAT:
                for _ in range(max(least, 1)):
                    yield from _sample(inner, True)


# --- Resource trees --------------------------------------------------------------------------------------------------


class Served(NamedTuple):
    """One method of one path, as one resource of one process serves it."""

    path: str
    method: str


class Handler(NamedTuple):
    """What answers it: the name of the servlet, and the bound function that the walk over its code starts from."""

    servlet: str
    function: Callable[..., Any]


Table = dict[Served, Handler]


class _Request:
    def __init__(self, method: str, path: str) -> None:
        self.method = method.encode()
        self.path = path.encode()


def _json_routes(resource: Any, mount: str) -> Iterator[tuple[Served, Handler]]:
    for pattern, methods in resource._routes.items():
        path = _below(template(pattern.pattern), mount)
        if path is None:
            continue
        example = sample(pattern.pattern)
        for method, entry in methods.items():
            if _dispatched(resource, method.decode(), example) == entry.callback:
                yield Served(path, method.decode()), Handler(entry.servlet_classname, _unwrapped(entry.callback))


def _dispatched(resource: Any, method: str, path: str) -> Any:
    """Returns what Synapse itself would call for a request; None if an earlier pattern takes it and refuses."""
    try:
        return resource._get_handler_for_request(_Request(method, path))[0]
    except Exception:
        return None


def _below(path: str, mount: str) -> str | None:
    """Returns the part of a template that the mount point of its resource leads to."""
    if path.startswith(mount):
        return path
    prefix, versions, rest = split_version(path)
    reached = [version for version in versions if join_versions(prefix, [version], rest).startswith(mount)]
    return join_versions(prefix, reached, rest) if reached else None


def _unwrapped(function: Any) -> Any:
    """Returns the bound method that a callback wraps (federation authenticates around it), or it itself."""
    for cell in getattr(function, "__closure__", None) or ():
        inner = cell.cell_contents
        if inspect.ismethod(inner):
            return inner
    return function


def _plain_routes(resource: Any, mount: str) -> Iterator[tuple[Served, Handler]]:
    found: dict[str, Any] = {}
    for method in METHODS:
        for name in (f"_async_render_{method}", f"render_{method}"):
            function = getattr(resource, name, None)
            # UnrecognizedRequestResource and its like answer every method with an error through `render`.
            if function is not None and method not in found:
                found[method] = function
    name = type(resource).__name__
    if name in ("UnrecognizedRequestResource", "OptionsResource") or not found:
        return
    leaf = bool(resource.isLeaf) or isinstance(resource, importlib.import_module("twisted.web.static").File)
    for method, function in found.items():
        yield Served(mount + SUBTREE if leaf else mount or "/", method), Handler(name, function)


def walk(resource: Any, mount: str = "") -> Iterator[tuple[Served, Handler]]:
    """Yields all that a tree of resources serves, in the order in which it would be found."""
    # Compression wraps the real resource.
    resource = getattr(resource, "original", resource)
    if hasattr(resource, "_routes"):
        yield from _json_routes(resource, mount)
        return
    # Not listNames(): a file resource lists its folder.
    for name, child in resource.children.items():
        text = name.decode() if isinstance(name, bytes) else name
        yield from walk(child, f"{mount}/{text}")
    yield from _plain_routes(resource, mount)


# --- Processes -------------------------------------------------------------------------------------------------------

_OIDC = {
    "idp_id": "probe",
    "idp_name": "probe",
    "discover": False,
    "issuer": "https://idp.example.com/",
    "client_id": "probe",
    "client_secret": "probe",
    "authorization_endpoint": "https://idp.example.com/authorize",
    "token_endpoint": "https://idp.example.com/token",
    "userinfo_endpoint": "https://idp.example.com/userinfo",
    "jwks_uri": "https://idp.example.com/jwks",
    "user_mapping_provider": {"config": {"localpart_template": "{{ user.sub }}"}},
}


def _configuration(folder: str, delegated: str | None, oidc: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "server_name": "probe.example.com",
        "public_baseurl": "https://probe.example.com/",
        "report_stats": False,
        "pid_file": os.path.join(folder, "pid"),
        "media_store_path": os.path.join(folder, "media"),
        "signing_key": "ed25519 a_probe 0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
        "macaroon_secret_key": "probe",
        "form_secret": "probe",
        "registration_shared_secret": "probe",
        "worker_replication_secret": "probe",
        "suppress_key_server_warning": True,
        "trusted_key_servers": [],
        "database": {"name": "sqlite3", "args": {"database": os.path.join(folder, "probe.db")}},
        "redis": {"enabled": True},
        "instance_map": {name: {"host": "127.0.0.1", "port": 1} for name in ("main", WRITER)},
        "stream_writers": {stream: [WRITER] for stream in _streams()},
        "email": {"smtp_host": "127.0.0.1", "notif_from": "probe@example.com"},
        "listeners": [],
        "url_preview_enabled": True,
        "url_preview_ip_range_blacklist": ["127.0.0.0/8"],
    }
    if delegated is None:
        templates = os.path.join(folder, "consent")
        os.makedirs(os.path.join(templates, "en"), exist_ok=True)
        for name in ("1.0.html", "success.html"):
            with open(os.path.join(templates, "en", name), "w", encoding="utf-8") as file:
                file.write("probe")
        config["user_consent"] = {"template_dir": templates, "version": "1.0"}
        config["cas_config"] = {"enabled": True, "server_url": "https://cas.example.com/"}
        if oidc:
            config["oidc_providers"] = [_OIDC]
    else:
        config["password_config"] = {"enabled": False}
        config["enable_registration"] = False
    if delegated == "mas":
        config[MAS] = {"enabled": True, "endpoint": "http://127.0.0.1:1/", "secret": "probe"}
    elif delegated == "msc3861":
        config["experimental_features"] = {
            "msc3861": {
                "enabled": True,
                "issuer": "https://idp.example.com/",
                "client_id": "probe",
                "client_auth_method": "client_secret_post",
                "client_secret": "probe",
                "admin_token": "probe",
                "account_management_url": "https://idp.example.com/account",
            }
        }
    return config


def _streams() -> list[str]:
    """Returns the streams whose writers the release lets one choose."""
    locations = importlib.import_module("synapse.config.workers").WriterLocations
    return [field.name for field in locations.__attrs_attrs__]


class Process:
    """A real main process or worker that never runs."""

    def __init__(self, kind: str, config: dict[str, Any], folder: str) -> None:
        self.kind = kind
        name = "homeserver" if kind == "main" else "generic_worker"
        self.module: Any = importlib.import_module(f"synapse.app.{name}")
        if kind != "main":
            config = {**config, "worker_app": "synapse.app.generic_worker", "worker_name": "probe_worker"}
        path = os.path.join(folder, f"{kind}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            # JSON is YAML, too.
            json.dump(config, file)
        # URL previews need lxml when they run, not when they are registered.
        importlib.import_module("synapse.config.repository").check_requirements = _nothing  # type: ignore[attr-defined]
        configuration = importlib.import_module("synapse.config.homeserver").HomeServerConfig
        parsed = configuration.load_config("probe", ["-c", path])
        server = self.module.SynapseHomeServer if kind == "main" else self.module.GenericWorkerServer
        # Releases before 1.97 want a version_string, all have a default for it.
        self.hs = server(parsed.server.server_name, config=parsed)
        self.hs.setup()
        # Built once, with the previews that only some of the states have.
        self.hs.get_media_repository()
        self.config = self.hs.config
        self._listener = importlib.import_module("synapse.config.server").parse_listener_def
        # Servlets extend the patterns of their class by those of a setting, which would then stay.
        self._patterns: list[tuple[Any, list[Any]]] = [
            (servlet, list(vars(servlet)["PATTERNS"]))
            for name, module in sorted(sys.modules.items())
            if name.startswith("synapse.rest.")
            for servlet in vars(module).values()
            if isinstance(servlet, type) and isinstance(vars(servlet).get("PATTERNS"), list)
        ]

    def table(self, resource: str) -> Table:
        """Returns what the process serves on a listener with this resource alone.

        Raises:
            Exception: whatever Synapse raises when it cannot serve this resource as it is set.
        """
        captured: list[Any] = []

        def capture(resources: dict[str, Any], root: Any) -> Any:
            captured.append(original(resources, root))
            return captured[-1]

        # A registry of the module that outlives the setting it was filled under.
        groups = getattr(importlib.import_module("synapse.rest"), "SERVLET_GROUPS", {})
        groups.pop("media", None)
        # So would the resource of media, which main mounts on several listeners.
        vars(self.hs).pop("_media_repository_resource", None)
        for servlet, patterns in self._patterns:
            servlet.PATTERNS[:] = patterns
        original = self.module.create_resource_tree
        self.module.create_resource_tree = capture
        listen = self.module.listen_http if hasattr(self.module, "listen_http") else None
        base = self.module._base.listen_http
        definition = self._listener(
            0, {"port": 1, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": [resource]}]}
        )
        try:
            self.module._base.listen_http = _nothing
            if listen is not None:
                self.module.listen_http = _nothing
            if self.kind == "main":
                list(self.hs._listener_http(self.config, definition) or ())
            else:
                self.hs._listen_http(definition)
        finally:
            self.module.create_resource_tree = original
            self.module._base.listen_http = base
            if listen is not None:
                self.module.listen_http = listen
        table: Table = {}
        for served, handler in walk(captured[-1]):
            table.setdefault(served, handler)
        return table


def _nothing(*_args: Any, **_kwargs: Any) -> list[Any]:
    return []


# --- What a request comes to -----------------------------------------------------------------------------------------

# The one that writes everything: neither of the processes probed, so that both take the way of a process that may not.
WRITER = "probe_writer"

_ABOUT_WRITERS = re.compile(r"writer|can_write|instance|worker_app|_is_worker|is_main_process", re.IGNORECASE)
_STREAM = re.compile(r"\bwriters\.(\w+)")
# Code that these run is none of the request's business: what it raises is only logged.
_BACKGROUND = re.compile(r"background_process|call_later|looping_call|call_when_running|add_observer")
# Before the stream device_lists had writers (1.135), only main had a handler of this class, and the exception named the
# request.
_CLASSES = {"DeviceHandler": "device_lists", "DeviceWriterHandler": "device_lists"}
# Written in Rust, with its sessions inside of it.
_COMPILED = re.compile(r"\w*Rendezvous\w*\Z")
_REQUESTS = {"devices": "device_lists"}


_NOTHING = object()


class _UnknownError(Exception):
    """The value is not known before there is a request."""


class Node:
    """What one function does by itself, and which functions it calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.streams: set[str] = set()
        self.lacks: set[str] = set()
        self.session = False


class Reached(NamedTuple):
    """What a request comes to."""

    streams: frozenset[str]
    lacks: frozenset[str]
    session: bool


class Walker:
    """Follows the code of live servlets, as a process would run it that may write no stream.

    What a test says about writers and instances is worked out from the live objects; of all other branches both are
    followed. Results are kept for each pair of object and function.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, Any], Node] = {}
        self._sources: dict[str, dict[int, ast.AST]] = {}
        # Whose identity is a key has to live on.
        self._alive: list[Any] = []

    def reach(self, function: Any) -> Reached:
        """Returns what a call comes to.

        These are the streams whose writer alone can serve it, the attributes that are missing, and whether it uses a
        session in memory.
        """
        streams, lacks, session = set(), set(), False
        todo, seen = [_parts(function)], set()
        while todo:
            owner, code = todo.pop()
            key = (id(owner), code)
            if key in seen:
                continue
            seen.add(key)
            node = self._node(owner, code)
            streams |= node.streams
            lacks |= node.lacks
            session = session or node.session
            todo.extend(node.calls)
        return Reached(frozenset(streams), frozenset(lacks), session)

    def chain(self, function: Any, what: str) -> list[str]:
        """Returns by which functions a stream's refusal, a missing attribute or a session is reached, to check it."""
        todo: list[tuple[Any, Any, list[str]]] = [(*_parts(function), [])]
        seen: set[Any] = set()
        while todo:
            owner, code, path = todo.pop(0)
            if (id(owner), code) in seen:
                continue
            seen.add((id(owner), code))
            node, here = self._node(owner, code), [*path, getattr(code, "__qualname__", "?")]
            if what in (*node.streams, *node.lacks) or (what == "session" and node.session):
                return here
            todo.extend((*call, here) for call in node.calls)
        return []

    def _node(self, owner: Any, code: Any) -> Node:
        key = (id(owner), code)
        if key not in self._nodes:
            self._alive.append(owner)
            self._nodes[key] = node = Node()
            source = self._source(code)
            if source is not None:
                _Reader(node, owner, code).run(source)
        return self._nodes[key]

    def _source(self, function: Any) -> ast.AST | None:
        code = getattr(function, "__code__", None)
        if code is None or not str(getattr(function, "__module__", "")).startswith("synapse."):
            return None
        if "make_client.<locals>" in function.__qualname__:
            # From here on it is another process.
            return None
        if code.co_filename not in self._sources:
            with open(code.co_filename, encoding="utf-8") as file:
                tree = ast.parse(file.read())
            self._sources[code.co_filename] = {
                min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node
                for node in ast.walk(tree)
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
        found = self._sources[code.co_filename].get(code.co_firstlineno)
        decorators = getattr(found, "decorator_list", [])
        return None if any(_BACKGROUND.search(ast.unparse(one)) for one in decorators) else found


def _parts(function: Any) -> tuple[Any, Any]:
    """Splits a callable into the object that it is bound to, and the function under all decorators."""
    owner = getattr(function, "__self__", None)
    for name in ("__func__", "__wrapped__"):
        while hasattr(function, name):
            function = getattr(function, name)
    return owner, function


class _Reader:
    """Reads one function."""

    def __init__(self, node: Node, owner: Any, code: Any) -> None:
        self.node = node
        self.owner = owner
        self.globals = code.__globals__
        self.qualname = code.__qualname__
        self.names: dict[str, list[Any]] = {}
        closure = getattr(code, "__closure__", None) or ()
        for name, cell in zip(code.__code__.co_freevars, closure, strict=False):
            try:
                self.names[name] = [cell.cell_contents]
            except ValueError:
                continue
        if owner is not None and code.__code__.co_varnames[:1] == ("self",):
            self.names["self"] = [owner]

    def run(self, function: Any) -> None:
        """Notes all that is reached in the body of the function."""
        self.block(function.body)

    # Statements: True if nothing behind them is reached.

    def block(self, statements: list[ast.stmt]) -> bool:
        return any(self.statement(statement) for statement in statements)

    def statement(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.If):
            return self.branch(statement)
        if isinstance(statement, ast.Assert):
            self.expression(statement.test)
            refused = self.truth(statement.test) is False
            if refused:
                self.refuse(statement.test, ast.unparse(statement))
            return refused
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            self.assign(statement)
        if isinstance(statement, (ast.For, ast.AsyncFor)) and isinstance(statement.target, ast.Name):
            values = self.values(statement.iter)
            self.names[statement.target.id] = _members(values) or list(values)
        self.inside(statement)
        return isinstance(statement, (ast.Return, ast.Raise))

    def inside(self, node: ast.AST) -> None:
        """Reads all blocks and expressions of a statement; functions in it are called later on, as transactions are."""
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                self.block(value)
                continue
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, (ast.ExceptHandler, ast.match_case)):
                    self.inside(item)
                elif isinstance(item, ast.AST):
                    self.expression(item)

    def branch(self, statement: ast.If) -> bool:
        self.expression(statement.test)
        truth = self.truth(statement.test)
        if truth is None:
            ended = self.block(statement.body)
            return self.block(statement.orelse) and ended
        taken = statement.body if truth else statement.orelse
        for one in taken:
            if isinstance(one, ast.Raise):
                self.refuse(statement.test, "\n".join(ast.unparse(each) for each in taken))
        return self.block(taken)

    def assign(self, statement: Any) -> None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                self.names[target.id] = [*self.names.get(target.id, ()), *self.values(statement.value)]
            else:
                self.expression(target)

    def refuse(self, test: ast.expr, text: str) -> None:
        """Notes the stream that the process would have to be a writer of."""
        if re.search(r"SynapseError\((?:4|HTTPStatus\.(?:BAD|FORB|NOT|UNAUTH))", text):
            return
        streams = set(_STREAM.findall(ast.unparse(test)))
        for part in ast.walk(test):
            if isinstance(part, ast.Attribute):
                streams |= self.assigned(part)
            elif isinstance(part, ast.Name) and part.id in _CLASSES:
                streams.add(_CLASSES[part.id])
        if not streams:
            # A worker is told from main; the exception says by which request.
            streams = {_REQUESTS.get(name, name) for name in re.findall(r" /(\w+)", text)} or {ast.unparse(test)}
        self.node.streams |= streams

    def assigned(self, attribute: ast.Attribute) -> set[str]:
        """Returns the streams that an attribute is about, by how its class sets it."""
        return {
            stream
            for owner in self.values(attribute.value)
            for base in type(owner).__mro__
            for stream in _assigned(base).get(attribute.attr, ())
        }

    # Expressions.

    def expression(self, node: ast.AST) -> None:
        if isinstance(node, ast.IfExp):
            truth = self.truth(node.test)
            self.expression(node.test)
            for wanted, part in ((False, node.body), (True, node.orelse)):
                if truth is not wanted:
                    self.expression(part)
            return
        if isinstance(node, ast.Call) and _BACKGROUND.search(ast.unparse(node.func)):
            return
        if isinstance(node, ast.Attribute):
            self.attribute(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for value in self.values(node):
                self.call(value, self.owner)
        for child in ast.iter_child_nodes(node):
            self.expression(child)

    def attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Call) and getattr(node.value.func, "id", None) == "super":
            self.call(self.parent(node.attr), self.owner)
            return
        for owner in self.values(node.value):
            kept = _static(owner, node.attr)
            # Whose getter may do anything; only its code is of interest.
            value = kept.fget if isinstance(kept, property) else _attribute(owner, node.attr)
            if value is _NOTHING and _is_store(owner) and hasattr(_main_store(), node.attr):
                self.node.lacks.add(node.attr)
            if isinstance(value, dict) and "session" in (node.attr + _annotation(owner, node.attr)).lower():
                self.node.session = True
            if _COMPILED.match(type(value).__name__) and not _text(type(value)):
                self.node.session = True
            self.call(value, None if inspect.ismodule(owner) or inspect.isclass(owner) else owner)

    def parent(self, name: str) -> Any:
        """Returns a method of the class above the one that holds this function."""
        holder = self.qualname.split(".")[0]
        for base in type(self.owner).__mro__:
            if base.__name__ == holder:
                return getattr(super(base, self.owner), name, None)
        return None

    def call(self, value: Any, owner: Any) -> None:
        """Notes a function as called, with the object that it is bound to, or that it was got from."""
        if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
            bound, code = _parts(value)
            if str(getattr(code, "__module__", "")).startswith("synapse."):
                self.node.calls.append((owner if bound is None else bound, code))

    def values(self, node: ast.AST) -> list[Any]:
        """Returns the live objects that an expression may be, as far as they are known before any request."""
        found: list[Any] = []
        if isinstance(node, ast.Name):
            found = self.names.get(node.id) or [self.globals.get(node.id, _NOTHING)]
        elif isinstance(node, ast.Attribute):
            found = [_attribute(owner, node.attr) for owner in self.values(node.value)]
        elif isinstance(node, ast.Subscript):
            found = _members(self.values(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = [value for owner in self.values(node.func.value) for value in _returned(owner, node)]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "cast":
            found = self.values(node.args[-1])
        elif isinstance(node, ast.IfExp):
            found = [*self.values(node.body), *self.values(node.orelse)]
        return [value for value in found if value is not _NOTHING]

    # Tests.

    def truth(self, test: ast.expr) -> bool | None:
        """Returns what a test about writers comes to; None if it is about something else, or not known."""
        try:
            return self.known(test)
        except _UnknownError:
            return None

    def known(self, test: ast.expr) -> bool:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return not self.known(test.operand)
        if isinstance(test, ast.BoolOp):
            return self.joined(test)
        if isinstance(test, ast.Call):
            return self.instance_of(test)
        told = self.about_main(test)
        return self.about_writers(test) if told is None else told

    def joined(self, test: ast.BoolOp) -> bool:
        decisive = isinstance(test.op, ast.Or)
        results = [self.truth(value) for value in test.values]
        if decisive in results:
            return decisive
        if None in results:
            raise _UnknownError
        return not decisive

    def about_writers(self, test: ast.expr) -> bool:
        if not _ABOUT_WRITERS.search(ast.unparse(test)):
            raise _UnknownError
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return _compared(test.ops[0], self.one(test.left), self.one(test.comparators[0]))
        if isinstance(test, (ast.Attribute, ast.Name)):
            value = self.one(test)
            if isinstance(value, bool):
                # On SQLite some are true in every process.
                return value and not (isinstance(test, ast.Attribute) and self.assigned(test))
        raise _UnknownError

    def about_main(self, test: ast.expr) -> bool | None:
        """Returns what a test comes to that tells a worker from main: by its app, or by a function that asks main.

        None if the test is another one. Main has None in the place of such a function, which may mean anything.
        """
        node = test.left if isinstance(test, ast.Compare) and _is_none(test) else test
        values = self.values(node) if isinstance(node, (ast.Attribute, ast.Name)) else []
        if getattr(node, "attr", None) == "worker_app" and len(values) == 1:
            on_worker = values[0] is not None
        elif values and all(map(_asks_another_process, values)):
            on_worker = True
        else:
            return None
        return on_worker if node is test else on_worker == isinstance(test.ops[0], ast.IsNot)  # type: ignore[attr-defined]

    def instance_of(self, test: ast.Call) -> bool:
        if not (isinstance(test.func, ast.Name) and test.func.id == "isinstance" and len(test.args) == 2):
            raise _UnknownError
        kind = self.one(test.args[1])
        value = self.one(test.args[0])
        if not inspect.isclass(kind) or kind.__name__ not in _CLASSES:
            raise _UnknownError
        return isinstance(value, kind)

    def one(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        found = self.values(node)
        if not found or any(value is not found[0] and value != found[0] for value in found[1:]):
            raise _UnknownError
        return found[0]


def _is_none(test: ast.Compare) -> bool:
    return (
        len(test.ops) == 1
        and isinstance(test.ops[0], (ast.Is, ast.IsNot))
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


def _asks_another_process(value: Any) -> bool:
    return callable(value) and "make_client.<locals>" in getattr(_parts(value)[1], "__qualname__", "")


def _is_store(owner: Any) -> bool:
    """Returns whether an object is the store of a process: the class that workers have is not that of main."""
    return type(owner).__module__ in ("synapse.app.generic_worker", "synapse.storage.databases.main")


@functools.cache
def _main_store() -> type:
    found: type = sys.modules["synapse.storage.databases.main"].DataStore
    return found


def _static(owner: Any, name: str) -> Any:
    try:
        return inspect.getattr_static(owner, name)
    except AttributeError:
        return None


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except Exception:
        # A property that needs a running process.
        return _NOTHING


@functools.cache
def _kept(function: Any) -> str | None:
    """Returns the attribute that a method does nothing but return."""
    if not inspect.isfunction(function) or not str(function.__module__).startswith("synapse."):
        return None
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body  # type: ignore[attr-defined]
    except (OSError, SyntaxError):
        return None
    last = body[-1]
    if not all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in body[:-1]):
        return None
    kept = last.value if isinstance(last, ast.Return) else None
    if isinstance(kept, ast.Attribute) and getattr(kept.value, "id", None) == "self":
        return kept.attr
    return None


def _returned(owner: Any, node: ast.Call) -> list[Any]:
    """Returns what a call gives that is safe to be made now: a getter of the homeserver, an entry of a mapping."""
    name = getattr(node.func, "attr", "")
    try:
        if name.startswith("get_") and not node.args and hasattr(owner, "get_datastores"):
            return [getattr(owner, name)()]
        if name == "get_instance" and hasattr(owner, "should_handle"):
            return [owner.get_instance("probe")]
        kept = None if node.args or node.keywords else _kept(getattr(type(owner), name, None))
        if kept:
            return [getattr(owner, kept)]
    except Exception:
        return []
    return _members([owner]) if name in ("get", "values") and isinstance(owner, dict) else []


def _compared(operator: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(right, (list, tuple, set, frozenset)):
        return (left in right) == isinstance(operator, ast.In)
    if isinstance(operator, (ast.Eq, ast.NotEq)):
        return bool(left == right) == isinstance(operator, ast.Eq)
    if isinstance(operator, (ast.Is, ast.IsNot)):
        return (left is right) == isinstance(operator, ast.Is)
    raise _UnknownError


def _members(values: list[Any]) -> list[Any]:
    """Returns what is in mappings and lists of live objects, of each kind one."""
    found: dict[Any, Any] = {}
    for value in values:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        for member in inside:
            if type(member).__module__.startswith("synapse."):
                found.setdefault(type(member), member)
    return list(found.values())


_TEXTS: dict[type, str] = {}


def _text(kind: type) -> str:
    if kind not in _TEXTS:
        try:
            _TEXTS[kind] = inspect.getsource(kind)
        except (OSError, TypeError):
            _TEXTS[kind] = ""
    return _TEXTS[kind]


_ASSIGNED: dict[type, dict[str, set[str]]] = {}


def _assigned(kind: type) -> dict[str, set[str]]:
    """Maps the attributes that a class sets to whether a process is a writer, to the streams."""
    if kind not in _ASSIGNED:
        found = _ASSIGNED[kind] = dict[str, set[str]]()
        text = _text(kind) if kind.__module__.startswith("synapse.") else ""
        for node in ast.walk(ast.parse(textwrap.dedent(text))) if "writers." in text else ():
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Compare):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Attribute):
                    found.setdefault(target.attr, set()).update(_STREAM.findall(ast.unparse(node.value)))
    return _ASSIGNED[kind]


def _annotation(owner: Any, attribute: str) -> str:
    """Returns how the class of an object annotates one of its attributes where it sets it."""
    found = re.search(rf"self\.{attribute}: ([^=\n]*)=", _text(type(owner)))
    return found.group(1) if found else ""


# --- Settings --------------------------------------------------------------------------------------------------------


class Switch(NamedTuple):
    """A setting that may guard a registration: its name for the operator, and how to flip it in a parsed config."""

    name: str
    section: str
    attribute: str
    on: Any
    off: Any

    def set(self, config: Any, value: bool) -> None:
        section = getattr(config, self.section, None)
        if section is not None:
            setattr(section, self.attribute, self.on if value else self.off)


# Attributes whose name is not that of their option, and those that are no plain boolean.
_OPTIONS = {
    ("cas", "cas_enabled"): "cas_config",
    ("saml2", "saml2_enabled"): "saml2_config",
    ("email", "can_verify_email"): "email",
    ("auth", "login_via_existing_enabled"): "login_via_existing_session",
    ("retention", "retention_enabled"): "retention",
}
# Read from other places in this module, or consequences of these.
_HANDLED = {
    ("mas", "enabled"),
    ("experimental", "msc3861"),
    ("oidc", "oidc_enabled"),
    ("media", "can_load_media_repo"),
    ("server", "enable_media_repo"),
    ("worker", "worker_app"),
    # Only what `/` redirects to, and the metrics, which are not for clients.
    ("server", "web_client_location"),
    ("metrics", "enable_metrics"),
}
_CONFIGURED = {"cas_enabled", "can_verify_email", "url_preview_enabled"}
_EXCLUDES_MAS = {"oidc_providers", "cas_config", "saml2_config", "login_via_existing_session"}


def _experimental_options() -> dict[str, str]:
    """Maps the attributes of the experimental section to the names of their options, from its source."""
    module = importlib.import_module("synapse.config.experimental")
    names: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Attribute) or getattr(node, "value", None) is None:
            continue
        options = [
            call.args[0].value
            for call in ast.walk(node.value)  # type: ignore[attr-defined]
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "get"
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "experimental"
            and call.args
            and isinstance(call.args[0], ast.Constant)
        ]
        if options:
            names.setdefault(target.attr, str(options[0]))
    return names


def _guards() -> set[tuple[str, str]]:
    """Finds the settings that the code which registers reads: pairs of section and attribute."""
    package = os.path.dirname(importlib.import_module("synapse").__file__ or "")
    found: set[tuple[str, str]] = set()
    for part in ("rest", os.path.join("federation", "transport", "server"), "app"):
        for folder, _folders, files in os.walk(os.path.join(package, part)):
            for name in files:
                if name.endswith(".py"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        text = file.read()
                    found.update(_guards_of(ast.parse(text)))
                    # Servlets look at these wherever they like.
                    found.update(("experimental", flag) for flag in re.findall(r"\bexperimental\.(\w+)", text))
    return found


def _guards_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        if not re.match(r"register|build_|_configure|_listen|load_", function.name):
            continue
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and (
                    getattr(node.value.value, "attr", None) == "config"
                    or getattr(node.value.value, "id", None) == "config"
                )
            ):
                yield node.value.attr, node.attr


def switches(config: Any) -> list[Switch]:
    """Returns the settings to be varied, all that are booleans or unset, and the SSO providers."""
    options = _experimental_options()
    pairs = _guards()
    found: list[Switch] = []
    for section, attribute in sorted(pairs - _HANDLED):
        try:
            value = getattr(getattr(config, section), attribute)
        except AttributeError:
            continue
        if value is not None and not isinstance(value, bool):
            continue
        if attribute in _CONFIGURED:
            # Only so that it can be built: by default it is off.
            value = False
        name = _OPTIONS.get((section, attribute), attribute)
        if section == "experimental":
            name = "experimental_features." + options.get(attribute, attribute)
        found.append(Switch(name, section, attribute, "https://probe.example.com/" if value is None else True, value))
    return found


# --- Conditions ------------------------------------------------------------------------------------------------------

_WHAT = {"main": "the main process", "worker": "a worker"}

Place = tuple[str, str]
State = dict[Place, Table]
Where = tuple[str, str, Served]


class Universe:
    """Main process and worker under one kind of authentication, to be probed with settings switched.

    Attributes:
        handlers: who answers, for each request at its place, by the first setting under which it was seen there.
    """

    def __init__(self, folder: str, delegated: str | None) -> None:
        config = _configuration(folder, delegated, _importable("authlib"))
        self.processes = [_started(kind, config, folder, delegated) for kind in ("main", "worker")]
        self.handlers: dict[tuple[Where, str], Handler] = {}
        first = self.processes[0].config
        self.switches = [switch for switch in switches(first) if not delegated or switch.name not in _EXCLUDES_MAS]
        if delegated is None:
            providers = first.oidc.oidc_providers or ("probe",)
            self.switches.append(Switch("oidc_providers", "oidc", "oidc_providers", providers, ()))
            for process in self.processes:
                if not first.oidc.oidc_providers:
                    process.hs.get_oidc_handler = types.SimpleNamespace
            _stub_saml(self.processes)

    def state(self, on: Iterable[Switch] = (), media: bool = True, only: Iterable[Place] = ()) -> State:
        """Returns what is served where.

        Args:
            on: the settings that are switched on, all others being as they are by default.
            media: whether the media repository is enabled.
            only: the processes and resources to look at, all by default.

        Raises:
            ProbeError: a resource cannot be built so.
        """
        wanted = set(only) or {(process.kind, resource) for process in self.processes for resource in RESOURCES}
        found: State = {}
        for process in self.processes:
            for switch in self.switches:
                switch.set(process.config, False)
            for switch in on:
                switch.set(process.config, True)
            _set_media(process.config, media)
            for resource in (one for one in RESOURCES if (process.kind, one) in wanted):
                try:
                    found[process.kind, resource] = process.table(resource)
                except Exception as exc:
                    # These are refused when there is no media repository, or nothing to consent to.
                    if resource not in ("media", "consent"):
                        raise ProbeError(
                            f"Synapse {release()}: {_WHAT[process.kind]} cannot serve the resource {resource} "
                            f"({type(exc).__name__}: {exc}): this probe does not know the release, take a newer one."
                        ) from exc
        return found

    def conditions(self) -> dict[Where, set[str]]:
        """Returns for each process, resource and request the conditions under which it is served, one being enough."""
        base = self._note("", self.state())
        bare = self._note(f"!{MEDIA}", self.state(media=False))
        found: dict[Where, set[str]] = {where: {f"!{MEDIA}"} for where in bare - base}
        for where in base:
            # Without the media repository Synapse refuses a media listener, health and all.
            found[where] = {"" if where in bare or where[2].path.startswith("/health") else MEDIA}
        working: list[Switch] = []
        for switch in self.switches:
            if switch.off:
                # What is on by default is no condition: who switches it off wants it to be gone.
                continue
            try:
                keys = self._note(switch.name, self.state([switch]))
            except ProbeError as exc:
                print(f"registry_probe: {switch.name} is left out: {exc}", file=sys.stderr)
                continue
            working.append(switch)
            for where in keys - base:
                found.setdefault(where, set()).add(switch.name)
            for where in base - keys:
                found[where] = {f"{one} + !{switch.name}" if one else f"!{switch.name}" for one in found[where]}
        every = self._note("", self.state(working))
        self._add_joint(found, every - set(found), working)
        without = _keys(self.state(working, media=False))
        for where in every - base - without:
            found[where] = {f"{MEDIA} + {condition}" for condition in found[where]}
        return found

    def _add_joint(self, found: dict[Where, set[str]], together: set[Where], working: list[Switch]) -> None:
        """Adds what needs several settings: all those without which it is gone."""
        if not together:
            return
        places = {(kind, resource) for kind, resource, _ in together}
        needed: dict[Where, list[str]] = {where: [] for where in together}
        for switch in working:
            rest = _keys(self.state([other for other in working if other is not switch], only=places))
            for where in together - rest:
                needed[where].append(switch.name)
        for where, names in needed.items():
            found[where] = {" + ".join(sorted(names))}

    def _note(self, name: str, state: State) -> set[Where]:
        for (kind, resource), table in state.items():
            for served, handler in table.items():
                self.handlers.setdefault(((kind, resource, served), name), handler)
        return _keys(state)


def _keys(state: State) -> set[Where]:
    return {(kind, resource, served) for (kind, resource), table in state.items() for served in table}


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _set_media(config: Any, value: bool) -> None:
    config.media.can_load_media_repo = value
    if hasattr(config.server, "enable_media_repo"):
        config.server.enable_media_repo = value


def _stub_saml(processes: list[Process]) -> None:
    """Makes the SAML handler constructible, without its packages and xmlsec if need be."""
    try:
        importlib.import_module("saml2.metadata")
    except ImportError:
        for name in ("saml2", "saml2.client", "saml2.config", "saml2.mdstore", "saml2.metadata", "saml2.response"):
            sys.modules[name] = mock.MagicMock()
    try:
        module = importlib.import_module("synapse.handlers.saml")
        module.Saml2Client = mock.MagicMock()  # type: ignore[attr-defined]
    except ImportError:
        for process in processes:
            process.hs.get_saml_handler = types.SimpleNamespace
        return
    for process in processes:
        section = process.config.saml2
        for attribute in sorted(set(re.findall(r"config\.saml2\.(\w+)", inspect.getsource(module)))):
            if not hasattr(section, attribute):
                setattr(section, attribute, mock.MagicMock())


def _started(kind: str, config: dict[str, Any], folder: str, delegated: str | None) -> Process:
    try:
        return Process(kind, config, folder)
    except Exception as exc:
        how = f" with {delegated}" if delegated else ""
        raise ProbeError(
            f"Synapse {release()}: {_WHAT[kind]}{how} cannot be built ({type(exc).__name__}: {exc}): check that "
            "this is the python of a complete Synapse virtual environment with the extras redis and oidc; if it is, "
            "this probe does not know the release, take a newer one."
        ) from exc


def release() -> str:
    """Returns the version of the installed Synapse."""
    return importlib.metadata.version("matrix-synapse")


def _delegation() -> str | None:
    if _importable("synapse.config.mas"):
        return "mas"
    if hasattr(importlib.import_module("synapse.config.experimental"), "MSC3861"):
        return "msc3861"
    return None


def routes() -> list[dict[str, Any]]:
    """Probes the installed release.

    Returns:
        its routes, in the order in which they are looked for.

    Raises:
        ProbeError: it cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="registry-probe-") as folder:
        plain = Universe(folder, None)
        merged = plain.conditions()
        handlers = plain.handlers
        kind = _delegation()
        if kind is not None:
            delegated = Universe(folder, kind)
            with_mas = delegated.conditions()
            for key, handler in delegated.handlers.items():
                handlers.setdefault(key, handler)
            for where in {*merged, *with_mas}:
                one, two = merged.get(where, set()), with_mas.get(where, set())
                merged[where] = one | two if where[2].path.startswith("/health") else _joined(one, two)
        return _entries(merged, handlers)


def _joined(without: set[str], delegated: set[str]) -> set[str]:
    """Joins the conditions that hold without and with delegated authentication."""
    exclusive = {one for one in without if set(one.split(" + ")) & _EXCLUDES_MAS}
    found = (without & delegated) | exclusive
    found |= {f"{one} + !{MAS}" if one else f"!{MAS}" for one in without - delegated - exclusive}
    found |= {f"{one} + {MAS}" if one else MAS for one in delegated - without}
    return found


class _Row(NamedTuple):
    """What is the same for all versions and methods of an entry."""

    when: str
    main: tuple[str, ...]
    worker: tuple[str, ...]
    writes: str | None
    session: bool
    lacks: str | None


def _entries(merged: dict[Where, set[str]], handlers: dict[tuple[Where, str], Handler]) -> list[dict[str, Any]]:
    """Puts together the processes and resources, then the versions, then the methods of what is otherwise equal."""
    order: dict[Served, int] = {}
    for (_kind, _resource, served), _name in handlers:
        order.setdefault(served, len(order))
    places: dict[tuple[Served, str, str], dict[str, set[str]]] = {}
    used: dict[tuple[Served, str], dict[str, Handler]] = {}
    for where in sorted(merged, key=lambda one: one[1:]):
        kind, resource, served = where
        for condition in merged[where]:
            handler = _handler(handlers, where, condition)
            places.setdefault((served, condition, handler.servlet), {}).setdefault(kind, set()).add(resource)
            used.setdefault((served, handler.servlet), {}).setdefault(kind, handler)
    comes_to = _comes_to(used)
    versions: dict[Any, list[Served]] = {}
    for (served, condition, servlet), kinds in places.items():
        prefix, found_versions, rest = split_version(served.path)
        main, worker = (tuple(one for one in RESOURCES if one in kinds.get(kind, ())) for kind in ("main", "worker"))
        streams, lacks, session = comes_to[served, servlet]
        if lacks and not main:
            continue
        row = _Row(
            when=condition,
            main=main,
            worker=() if lacks else worker,
            writes=" + ".join(sorted(streams)) or None,
            session=session,
            lacks=", ".join(sorted(lacks)) or None,
        )
        versions.setdefault((row, servlet, served.method, prefix, bool(found_versions), rest), []).append(served)
    methods: dict[tuple[str, _Row], dict[str, tuple[int, str]]] = {}
    for (row, servlet, method, prefix, _versioned, rest), members in versions.items():
        path = join_versions(prefix, [one for served in members for one in split_version(served.path)[1]], rest)
        methods.setdefault((path, row), {})[method] = (min(order[served] for served in members), servlet)
    return [
        {
            "path": path,
            "methods": [method for method in METHODS if method in by_method],
            "main": list(row.main),
            "worker": list(row.worker),
            "when": row.when or None,
            "writes": row.writes,
            "session": row.session,
            **({"lacks": row.lacks} if row.lacks else {}),
            "servlet": ", ".join(sorted({servlet for _, servlet in by_method.values()})),
        }
        for (path, row), by_method in sorted(
            methods.items(), key=lambda item: (min(place for place, _ in item[1].values()), str(item[0]))
        )
    ]


def _handler(handlers: dict[tuple[Where, str], Handler], where: Where, condition: str) -> Handler:
    """Returns who answers under a condition."""
    for name in condition.split(" + "):
        if (where, name) in handlers:
            return handlers[where, name]
    return handlers[where, ""]


def _comes_to(used: dict[tuple[Served, str], dict[str, Handler]]) -> dict[tuple[Served, str], Reached]:
    """Follows the code of each request.

    A worker's code counts where a worker serves it: what it refuses, main may do in releases in which a stream can only
    be main's. If a worker lacks what main has, main alone serves it, and main's code counts.
    """
    walker = Walker()
    found: dict[tuple[Served, str], Reached] = {}
    for (served, servlet), handlers in used.items():
        kind = "worker" if "worker" in handlers else "main"
        reached = walker.reach(handlers[kind].function)
        _explain(walker, f"{kind}, {served.method} {served.path}", handlers[kind], reached)
        if reached.lacks and "main" in handlers:
            on_main = walker.reach(handlers["main"].function)
            # What main lacks, too, is in code that no process comes to.
            lacks = reached.lacks - on_main.lacks
            reached = (on_main if lacks else reached)._replace(lacks=lacks)
        found[served, servlet] = reached
    return found


def _explain(walker: Walker, where: str, handler: Handler, reached: Reached) -> None:
    if "--explain" in sys.argv:
        for one in [*sorted(reached.streams), *sorted(reached.lacks), *(["session"] if reached.session else [])]:
            print(f"{one}: {where}: {' > '.join(walker.chain(handler.function, one))}", file=sys.stderr)


def main() -> int:
    """Prints the routes of the installed release, or says on stderr in one sentence why it cannot."""
    logging.disable(logging.CRITICAL)
    warnings.showwarning = _nothing  # type: ignore[assignment]
    try:
        document = {"release": release(), "routes": routes()}
    except ProbeError as exc:
        print(f"registry_probe: {exc}", file=sys.stderr)
        return 2
    except ImportError as exc:
        print(
            f"registry_probe: Synapse cannot be imported ({exc}): run this file with the python of Synapse's virtual "
            "environment.",
            file=sys.stderr,
        )
        return 2
    except Exception as exc:
        print(
            f"registry_probe: Synapse {release()} is not built as this probe knows it ({type(exc).__name__}: {exc}): "
            "take a newer probe.",
            file=sys.stderr,
        )
        return 2
    json.dump(document, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
