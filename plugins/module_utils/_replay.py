# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays requests against a real nginx that has a given configuration, and records what arrives behind it.

Private to the collection. nginx runs on its own below a temporary folder. In its configuration only places are replaced
(`relocate`): servers of upstreams become UNIX sockets of this process, which record every request and answer it with an
empty 200; ports become ports of the loopback interface without TLS; logs go to the temporary folder. So no request ever
reaches a process of the real fleet, and what nginx decides is decided by its own code.

One epoll loop in one thread is both the clients and the servers: it runs only while `Replay.send` waits for answers.
"""

from __future__ import annotations

import enum
import grp
import hashlib
import ipaddress
import os
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

HTTPS = 443
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<mark>[;{}])
    | (?P<word>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | (?!["'])(?:\\.|\$\{[^}]*\}|[^\s;{\\])+)""",
    re.VERBOSE | re.DOTALL,
)
# Blocks whose contents are directives; a map's contents only look like some.
_BLOCKS = frozenset({"http", "server", "location", "if", "limit_except", "upstream"})
_SCHEME = re.compile(r"\$(?:scheme(?![A-Za-z0-9_])|\{scheme\})")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nX-Replay-Id: ([0-9]+)\r\n")
_ID_HEADER = "X-Replay-Id"
_SOURCE_HEADER = "X-Replay-Source"
_DEFAULT_REAL_IP_HEADER = "X-Real-IP"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LONGEST_NAME = 60
_START_SECONDS = 20.0
_ANSWER_SECONDS = 30.0
_LOG_SECONDS = 5.0
_OPEN_FILES = 16384
_READ = select.EPOLLIN
_WRITE = select.EPOLLIN | select.EPOLLOUT


class ReplayError(Exception):
    """nginx refuses the configuration, or does not do what a replay needs. The message has nginx's own words."""


@dataclass(frozen=True)
class Directive:
    """One directive of a configuration, where it stands.

    Attributes:
        words: its name and its arguments, without quotes.
        spans: where these words stand in the text, quotes included.
        start: where it begins.
        end: where it ends, after its ';'; for a block, after its '{'.
        blocks: the names of the blocks around it, the outermost first.
        inside: the `start` of the block around it, -1 if there is none.
    """

    words: Tuple[str, ...]
    spans: Tuple[Tuple[int, int], ...]
    start: int
    end: int
    blocks: Tuple[str, ...]
    inside: int

    def is_in(self, block: str) -> bool:
        """Returns whether this is a directive directly in a block of that name."""
        return bool(self.blocks) and self.blocks[-1] == block and _BLOCKS.issuperset(self.blocks)


def directives(text: str) -> List[Directive]:
    """Returns the directives of a text in nginx's language, blocks before what is in them.

    Raises:
        ReplayError: its blocks do not fit together.
    """
    found: List[Directive] = []
    around: List[Directive] = []
    spans: List[Tuple[int, int]] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ReplayError(f"line {text.count(chr(10), 0, position) + 1}: a quote is not closed")
        position = token.end()
        if token["word"]:
            spans.append(token.span("word"))
        elif token["mark"] == "}":
            if spans or not around:
                raise ReplayError(f"line {text.count(chr(10), 0, position) + 1}: unexpected }}")
            around.pop()
        elif token["mark"] and spans:
            found.append(
                Directive(
                    words=tuple(_unquoted(text[start:end]) for start, end in spans),
                    spans=tuple(spans),
                    start=spans[0][0],
                    end=position,
                    blocks=tuple(block.words[0] for block in around),
                    inside=around[-1].start if around else -1,
                )
            )
            if token["mark"] == "{":
                around.append(found[-1])
            spans = []
    if around:
        raise ReplayError(f"the block {around[-1].words[0]} is not closed")
    return found


def upstream_servers(text: str) -> Tuple[str, ...]:
    """Returns the addresses of the servers of all upstreams, each once, in the order of the text."""
    return tuple(dict.fromkeys(item.words[1] for item in directives(text) if _is_upstream_server(item)))


def listen_ports(text: str) -> Tuple[int, ...]:
    """Returns the ports that are listened on, each once, in the order of the text.

    Raises:
        ReplayError: a listener has no port, or a server block has no listener and would get nginx's own default.
    """
    found = directives(text)
    listening = {item.inside for item in found if _is_listen(item)}
    if any(item.start not in listening for item in found if _is_server_block(item)):
        raise ReplayError("a server block has no listen directive, so that nginx would choose the port itself")
    return tuple(dict.fromkeys(_port(item) for item in found if _is_listen(item)))


def relocate(text: str, servers: Mapping[str, str], ports: Mapping[int, int], logs: str) -> str:
    """Returns a configuration in other places; whatever does not say where something is stays byte for byte.

    Directives of TLS and HTTP/2 are dropped. As clients come without TLS, `$scheme` is written out as `https` in blocks
    that otherwise only listen with TLS. Whom nginx trusts to tell a client's address is a place too: where it trusts
    somebody it also trusts 127.0.0.1, from where clients come, and the header that it then goes by is written out. A
    real_ip_header where it trusts nobody has no effect, and is dropped. Lines keep their numbers.

    Args:
        text: what belongs into nginx's http block.
        servers: the new address of each server of an upstream.
        ports: the new port of each port; the listeners are moved to 127.0.0.1.
        logs: the folder for access.log and error.log.

    Raises:
        ReplayError: it passes requests to an address that is in no upstream.
    """
    found = directives(text)
    secure = _tls_blocks(found)
    listening: Set[Tuple[int, int]] = set()
    edits = _realip_edits(found)
    for item in found:
        if item.blocks and not _BLOCKS.issuperset(item.blocks):
            continue
        name = item.words[0]
        if _is_upstream_server(item):
            edits.append((*item.spans[1], servers[item.words[1]]))
        elif _is_listen(item):
            place = (item.inside, ports[_port(item)])
            default = " default_server" if "default_server" in item.words else ""
            edits.append((item.start, item.end, "" if place in listening else f"listen 127.0.0.1:{place[1]}{default};"))
            listening.add(place)
        elif name.startswith("ssl") or name in ("http2", "http3", "quic_gso", "quic_retry"):
            edits.append((item.start, item.end, ""))
        elif name == "error_log" or (name == "access_log" and item.words[1] != "off"):
            edits.append((*item.spans[1], f"{logs}/{name[: -len('_log')]}.log"))
        elif any(item.start in span for span in secure):
            edits += [
                (start, end, _SCHEME.sub("https", text[start:end]))
                for start, end in item.spans
                if _SCHEME.search(text, start, end)
            ]
    return _edited(text, edits)


def stray_addresses(http_conf: str, site_conf: str) -> Tuple[str, ...]:
    """Returns what requests are passed to without an upstream that says where it is."""
    both = directives(http_conf) + directives(site_conf)
    known = {item.words[1] for item in both if item.words[0] == "upstream" and len(item.words) == 2}
    targets = [
        item.words[1] for item in both if re.match(r"(proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass$", item.words[0])
    ]
    named = (re.sub(r"^[a-z]+://", "", target) for target in targets)
    return tuple(name for name in named if not name.startswith("$") and name.split("/")[0] not in known)


@dataclass(frozen=True)
class Request:
    """A request of a client.

    Attributes:
        method: its method.
        path: its target as it is sent, query included; ASCII.
        headers: more headers. Without a Host it gets the one of `Replay`, and a length if there is a body.
        source: the address of the client; None for 127.0.0.1. One of 127.0.0.0/8 really is where the connection comes
            from, any other is told to nginx's realip module. Where the configuration uses that itself, it is told in
            the header that the configuration names, as if by a proxy that it trusts, unless `headers` have that header.
        port: the port of the configuration that it is sent to.
        body: its body.
    """

    method: str
    path: str
    headers: Tuple[Tuple[str, str], ...] = ()
    source: Optional[str] = None
    port: int = HTTPS
    body: bytes = b""


@dataclass(frozen=True)
class Reception:
    """A request as one server of an upstream got it.

    Attributes:
        server: the server's address, as the configuration has it.
        head: the request line and the headers.
    """

    server: str
    head: bytes

    @property
    def method(self) -> str:
        """The method."""
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def raw_path(self) -> str:
        """The target of the request line, byte for byte."""
        return self.head.split(b"\r\n", 1)[0].split(b" ", 1)[1].rsplit(b" ", 1)[0].decode("latin-1")

    @property
    def headers(self) -> Dict[str, str]:
        """The headers, by their names in lower case; values of the same name are joined by ', '."""
        return _headers(self.head)


@dataclass(frozen=True)
class Recorded:
    """What became of a request.

    Attributes:
        status: the status that the client got; 0 if the connection was closed without one.
        receptions: what servers of upstreams got, in the order of time.
        answer: the status line and the headers that the client got.
    """

    status: int
    receptions: Tuple[Reception, ...]
    answer: bytes

    @property
    def tried(self) -> Tuple[str, ...]:
        """The addresses of the servers that received the request, in the order of time."""
        return tuple(reception.server for reception in self.receptions)

    @property
    def raw_path(self) -> Optional[str]:
        """The path that the last server received."""
        return self.receptions[-1].raw_path if self.receptions else None

    @property
    def headers(self) -> Dict[str, str]:
        """The headers that the last server received, by their names in lower case."""
        return self.receptions[-1].headers if self.receptions else {}

    @property
    def answer_headers(self) -> Dict[str, str]:
        """The headers that the client got, by their names in lower case."""
        return _headers(self.answer)


class Replay:
    """nginx with a configuration, clients before it, and recording servers behind it; a context manager.

    Attributes:
        servers: the addresses of all servers of upstreams, as the configuration has them.
        ports: for each port of the configuration, the port of 127.0.0.1 that stands for it.
    """

    def __init__(self, nginx: Path, http_conf: str, site_conf: str, *, host: str = "localhost") -> None:
        """Prepares a replay; nothing runs yet.

        Args:
            nginx: the program.
            http_conf: the part of the configuration that is in the http block.
            site_conf: the server blocks.
            host: the Host of requests that name none.

        Raises:
            ReplayError: the configuration cannot be taken apart, or would send requests to a real address.
        """
        strays = stray_addresses(http_conf, site_conf)
        if strays:
            raise ReplayError(f"requests are passed to {', '.join(strays)}, which is no upstream of the configuration")
        self.servers = tuple(dict.fromkeys((*upstream_servers(http_conf), *upstream_servers(site_conf))))
        self.ports: Dict[int, int] = dict.fromkeys((*listen_ports(http_conf), *listen_ports(site_conf)), 0)
        self._realip = _RealIp(directives(f"{http_conf}\n{site_conf}"))
        self._nginx = nginx
        self._texts = {"http.conf": http_conf, "site.conf": site_conf}
        self._host = host
        self._folder = Path()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._loop = _Loop()
        self._recorders: Dict[str, _Recorder] = {}
        self._receptions: Dict[int, List[Reception]] = {}
        self._sent = 0
        self._log_read = 0

    def __enter__(self) -> Replay:
        """Starts nginx.

        Raises:
            ReplayError: nginx refuses the configuration.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        enough = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < enough:
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
        self._folder = Path(tempfile.mkdtemp(prefix="replay-"))
        try:
            # nginx's workers, which do not run as root, have to come through to the sockets.
            self._folder.chmod(0o711)
            (self._folder / "u").mkdir(mode=0o755)
            self._loop.open()
            for server in self.servers:
                recorder = _Recorder(self._loop, self._folder / "u" / socket_name(server), server, self._receptions)
                recorder.open()
                self._recorders[server] = recorder
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends nginx and removes all that was written."""
        self._stop()
        for recorder in self._recorders.values():
            recorder.close()
        self._recorders.clear()
        self._loop.close()
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, requests: Sequence[Request], *, connections: int = 16) -> List[Recorded]:
        """Sends requests and waits for their answers.

        Args:
            requests: what to send.
            connections: how many requests may be on their way at a time. With 1, one begins when the one before it has
                its answer.

        Returns:
            What became of each, in the order of the requests.

        Raises:
            ReplayError: nginx does not answer, or a request cannot come from its source.
        """
        queue = [
            (self._sent + number, self._raw(self._sent + number, item), item) for number, item in enumerate(requests)
        ]
        first = self._sent
        self._sent += len(queue)
        answers: Dict[int, Tuple[int, bytes]] = {}
        clients = _Clients(self._loop, self.ports, connections, answers)
        try:
            upcoming = 0
            while len(answers) < len(queue):
                while upcoming < len(queue) and clients.begin(*queue[upcoming]):
                    upcoming += 1
                if not self._loop.turn(_ANSWER_SECONDS):
                    waiting = next(item for number, _, item in queue if number not in answers)
                    raise ReplayError(f"nginx gives no answer to {waiting.method} {waiting.path}\n{self._error_log()}")
        finally:
            clients.close()
        return [
            Recorded(answers[number][0], tuple(self._receptions.pop(number, ())), answers[number][1])
            for number in range(first, self._sent)
        ]

    def down(self, addresses: Iterable[str]) -> None:
        """Makes these servers refuse connections, and closes the ones that are open."""
        for address in addresses:
            self._recorders[address].close()

    def up(self, addresses: Iterable[str]) -> None:
        """Makes these servers answer again. What nginx has noted about them stays; `restart` lets it forget."""
        for address in addresses:
            self._recorders[address].manner = _Manner.ANSWER
            self._recorders[address].open()

    def broken(self, addresses: Iterable[str]) -> None:
        """Makes these servers read and record requests, and close the connection without an answer."""
        for address in addresses:
            self._recorders[address].open()
            self._recorders[address].manner = _Manner.CLOSE

    def silent(self, addresses: Iterable[str]) -> None:
        """Makes these servers read and record requests, and never answer: nginx waits for its proxy_read_timeout."""
        for address in addresses:
            self._recorders[address].open()
            self._recorders[address].manner = _Manner.WAIT

    def restart(self) -> None:
        """Starts nginx anew, with everything up and an empty log: it has forgotten which servers failed."""
        self.up(self.servers)
        self._stop()
        (self._folder / "access.log").unlink(missing_ok=True)
        self._log_read = 0
        self._start()

    def log(self, count: int) -> List[str]:
        """Returns the next lines of the access log since the start, with the servers' addresses as configured.

        Args:
            count: how many lines there have to be; nginx writes a line shortly after its answer.

        Raises:
            ReplayError: there are fewer.
        """
        path = self._folder / "access.log"
        until = time.monotonic() + _LOG_SECONDS
        while True:
            lines = path.read_text(encoding="latin-1").splitlines() if path.exists() else []
            if len(lines) >= self._log_read + count:
                break
            if time.monotonic() > until:
                raise ReplayError(f"the access log has {len(lines) - self._log_read} new lines, not {count}")
            if self._process is not None:
                self._process.send_signal(signal.SIGUSR1)  # it writes out what it still keeps in a buffer
            time.sleep(0.02)
        lines = lines[self._log_read : self._log_read + count]
        self._log_read += count
        places = {f"unix:u/{socket_name(server)}": server for server in self.servers}
        return [re.sub(r"unix:u/[^\s,;]+", lambda found: places.get(found[0], found[0]), line) for line in lines]

    def _raw(self, number: int, request: Request) -> bytes:
        lines = [f"{request.method} {request.path} HTTP/1.1", f"{_ID_HEADER}: {number}"]
        given = {name.lower() for name, _ in request.headers}
        if request.source is not None and not _is_bindable(request.source):
            headers = self._realip.headers[request.port]
            if None in headers:
                raise ReplayError(
                    f"a request cannot come from {request.source}: on port {request.port} the configuration's own"
                    " real_ip directives leave no header to tell it in"
                )
            lines += [f"{name}: {request.source}" for name in headers if name and name.lower() not in given]
        if "host" not in given:
            lines.append(f"Host: {self._host}")
        if (request.body or request.method in ("POST", "PUT", "PATCH")) and "content-length" not in given:
            lines.append(f"Content-Length: {len(request.body)}")
        lines += [f"{name}: {value}" for name, value in request.headers]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body

    def _start(self) -> None:
        complaint: Optional[str] = "Address already in use"
        attempts = 5
        while complaint is not None and "Address already in use" in complaint and attempts > 0:
            complaint = self._try_start()
            attempts -= 1
        if complaint is not None:
            raise ReplayError(complaint.replace(f"{self._folder}/", ""))

    def _try_start(self) -> Optional[str]:
        """Starts nginx on ports that are free now; returns what it complains about if it ends."""
        self.ports = dict(zip(self.ports, free_ports(len(self.ports))))
        places = {server: f"unix:u/{socket_name(server)}" for server in self.servers}
        # Together, as what holds in one may come from the other; lines keep their numbers.
        text = relocate("\n".join(self._texts.values()), places, self.ports, str(self._folder))
        lines = text.split("\n")
        for name, original in self._texts.items():
            count = original.count("\n") + 1
            (self._folder / name).write_text("\n".join(lines[:count]), encoding="utf-8")
            del lines[:count]
        (self._folder / "nginx.conf").write_text(self._main_conf(), encoding="utf-8")
        pid = self._folder / "nginx.pid"
        with (self._folder / "start.log").open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._nginx), "-p", ".", "-e", f"{self._folder}/error.log", "-c", f"{self._folder}/nginx.conf"],
                # Paths of sockets are relative, so that `hash` spreads alike in every run.
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until = time.monotonic() + _START_SECONDS
        # It writes the file when it listens already.
        while not pid.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self._stop()
                return (self._folder / "start.log").read_text(errors="replace").strip() or "nginx does not start"
            time.sleep(0.002)
        return None

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            (self._folder / "nginx.pid").unlink(missing_ok=True)

    def _main_conf(self) -> str:
        folder = self._folder
        lines = [
            "daemon off;",
            "worker_processes 1;",
            f"pid {folder}/nginx.pid;",
            f"error_log {folder}/error.log;",
            "events { worker_connections 8192; }",
            "http {",
            "access_log off;",
            *(f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        ]
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder / "u", nobody.pw_uid, nobody.pw_gid)
            lines.insert(0, f"user nobody {grp.getgrgid(nobody.pw_gid).gr_name};")
        if self._realip.free:
            lines += ["set_real_ip_from 127.0.0.0/8;", f"real_ip_header {_SOURCE_HEADER};"]
        lines += [f"include {folder}/{name};" for name in self._texts]
        return "\n".join([*lines, "}", ""])

    def _error_log(self) -> str:
        path = self._folder / "error.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-5:]) if path.exists() else ""


def socket_name(address: str) -> str:
    """Returns the name of the socket that stands for a server: readable, short enough, and always the same."""
    name = re.sub(r"[^A-Za-z0-9.:_\[\]-]", "_", re.sub(r"^unix:/*", "", address))
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(address.encode()).hexdigest()[:32]


class _Loop:
    """The event loop: calls what belongs to each file descriptor that is ready."""

    def __init__(self) -> None:
        self._epoll: Optional[select.epoll] = None
        self._callbacks: Dict[int, Callable[[], None]] = {}

    def open(self) -> None:
        self._epoll = select.epoll()

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()
        self._callbacks.clear()

    def add(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        assert self._epoll is not None
        self._callbacks[sock.fileno()] = callback
        self._epoll.register(sock.fileno(), _READ)

    def watch(self, sock: socket.socket, events: int) -> None:
        assert self._epoll is not None
        self._epoll.modify(sock.fileno(), events)

    def drop(self, sock: socket.socket) -> None:
        """Forgets a socket and closes it."""
        # A closed descriptor leaves epoll by itself.
        self._callbacks.pop(sock.fileno(), None)
        sock.close()

    def turn(self, seconds: float) -> bool:
        """Waits until something is ready and serves it; returns False if nothing was for so long."""
        assert self._epoll is not None
        events = self._epoll.poll(seconds)
        callbacks = self._callbacks
        for descriptor, _ in events:
            # One before it in this turn may have closed it.
            callback = callbacks.get(descriptor)
            if callback is not None:
                callback()
        return bool(events)


class _Manner(enum.Enum):
    """What a recorder does with a request that it has recorded."""

    ANSWER = enum.auto()
    CLOSE = enum.auto()
    WAIT = enum.auto()


class _Recorder:
    """A server of an upstream, which records."""

    def __init__(self, loop: _Loop, path: Path, address: str, receptions: Dict[int, List[Reception]]) -> None:
        self.address = address
        self.manner = _Manner.ANSWER
        self.arrivals: Set[_Arrival] = set()
        self.receptions = receptions
        self.loop = loop
        self._path = path
        self._listener: Optional[socket.socket] = None

    def open(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        self._path.chmod(0o666)
        listener.listen(512)
        listener.setblocking(False)
        self._listener = listener
        self.loop.add(listener, self._accept)

    def close(self) -> None:
        if self._listener is not None:
            self._path.unlink()
            self.loop.drop(self._listener)
            self._listener = None
        for arrival in tuple(self.arrivals):
            arrival.close()

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self.arrivals.add(_Arrival(self, connection))


class _Arrival:
    """A connection from nginx to a recorder."""

    def __init__(self, recorder: _Recorder, connection: socket.socket) -> None:
        self._recorder = recorder
        self._connection = connection
        self._received = bytearray()
        recorder.loop.add(connection, self._ready)

    def close(self) -> None:
        self._recorder.arrivals.discard(self)
        self._recorder.loop.drop(self._connection)

    def _ready(self) -> None:
        try:
            data = self._connection.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[: end + 2])
        # nginx collects the body and tells its length; it sends one request at a time.
        length = _CONTENT_LENGTH.search(head)
        if length is not None and len(self._received) < end + 4 + int(length[1]):
            return
        del self._received[:]
        recorder = self._recorder
        number = _ID.search(head)
        if number is not None:
            recorder.receptions.setdefault(int(number[1]), []).append(Reception(recorder.address, head[:-2]))
        if recorder.manner is _Manner.CLOSE:
            self.close()
        elif recorder.manner is _Manner.ANSWER:
            self._connection.send(_ANSWER)


class _Clients:
    """Connections to nginx, at most so many, for one `Replay.send`."""

    def __init__(self, loop: _Loop, ports: Mapping[int, int], most: int, answers: Dict[int, Tuple[int, bytes]]) -> None:
        self.loop = loop
        self.answers = answers
        self._ports = ports
        self._most = most
        self._open: Set[_Client] = set()
        self._idle: List[_Client] = []

    def begin(self, number: int, raw: bytes, request: Request) -> bool:
        """Sends a request, if it may be sent now."""
        if len(self._open) >= self._most and not self._idle:
            return False
        source = request.source if request.source is not None and _is_bindable(request.source) else ""
        client = next((idle for idle in self._idle if idle.source == source and idle.port == request.port), None)
        if client is not None:
            self._idle.remove(client)
        else:
            if len(self._open) >= self._most:
                self._idle[0].close()
            client = _Client(self, request.port, self._ports[request.port], source)
            self._open.add(client)
        client.begin(number, raw, request.method == "HEAD")
        return True

    def done(self, client: _Client, reusable: bool) -> None:
        if reusable:
            self._idle.append(client)
        else:
            client.close()

    def forget(self, client: _Client) -> None:
        self._open.discard(client)
        if client in self._idle:
            self._idle.remove(client)

    def close(self) -> None:
        for client in tuple(self._open):
            client.close()


class _Client:
    """A connection to nginx, for one request at a time."""

    def __init__(self, clients: _Clients, port: int, real_port: int, source: str) -> None:
        self.port = port
        self.source = source
        self._clients = clients
        self._received = b""
        self._unsent = b""
        self._blocked = False
        self._number = -1
        self._bodyless = False
        self._connection = socket.create_connection(
            ("127.0.0.1", real_port), _ANSWER_SECONDS, (source, 0) if source else None
        )
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.setblocking(False)
        clients.loop.add(self._connection, self._ready)

    def begin(self, number: int, raw: bytes, bodyless: bool) -> None:
        self._number = number
        self._bodyless = bodyless
        self._received = b""
        self._unsent = raw
        self._send()

    def close(self) -> None:
        self._clients.forget(self)
        self._clients.loop.drop(self._connection)

    def _send(self) -> None:
        blocked = False
        try:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
            blocked = bool(self._unsent)
        except BlockingIOError:
            blocked = True
        except OSError:
            # nginx refused the request before all of it was sent: its answer is still to be read.
            self._unsent = b""
        if blocked != self._blocked:
            self._clients.loop.watch(self._connection, _WRITE if blocked else _READ)
            self._blocked = blocked

    def _ready(self) -> None:
        if self._unsent:
            self._send()
        try:
            data = self._connection.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._number < 0:
            # nginx closes a connection that waits.
            if not data:
                self._clients.done(self, reusable=False)
            return
        self._received += data
        status, head, complete, close = self._answer()
        if complete or not data:
            self._clients.answers[self._number] = (status, head)
            self._number = -1
            self._clients.done(self, reusable=complete and not close and not self._unsent)

    def _answer(self) -> Tuple[int, bytes, bool, bool]:
        """Returns status, head, whether the answer is complete, and whether the connection ends with it."""
        while True:
            received = self._received
            end = received.find(b"\r\n\r\n")
            if end < 0 or not received.startswith(b"HTTP/1."):
                return 0, b"", False, True
            status = int(received[9:12])
            if status >= 200:
                break
            self._received = received[end + 4 :]
        head = received[:end]
        close = b"\r\nConnection: close" in head
        if self._bodyless or status in (204, 304):
            return status, head, True, close
        length = _CONTENT_LENGTH.search(head)
        if length is not None:
            return status, head, len(received) >= end + 4 + int(length[1]), close
        if b"\r\nTransfer-Encoding: chunked" in head:
            return status, head, received.endswith(b"\r\n0\r\n\r\n"), close
        return status, head, False, True


def free_ports(count: int) -> List[int]:
    """Returns ports of 127.0.0.1 that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def _unquoted(word: str) -> str:
    if len(word) >= 2 and word[0] in "\"'" and word[-1] == word[0]:
        return re.sub(r"\\([\"'\\])", r"\1", word[1:-1])
    return word


def _is_upstream_server(item: Directive) -> bool:
    return item.words[0] == "server" and item.is_in("upstream") and len(item.words) > 1


def _is_server_block(item: Directive) -> bool:
    return item.words == ("server",) and item.blocks in ((), ("http",))


def _is_listen(item: Directive) -> bool:
    return item.words[0] == "listen" and item.is_in("server")


def _port(listen: Directive) -> int:
    port = re.search(r"(?:^|:)([0-9]+)$", listen.words[1])
    if port is None:
        raise ReplayError(f"listen {listen.words[1]} names no port")
    return int(port[1])


def _is_bindable(source: str) -> bool:
    """Returns whether a connection can really come from an address: listeners are on the loopback interface's IPv4."""
    address = ipaddress.ip_address(source)
    return address.version == 4 and address.is_loopback


class _RealIp:
    """What the realip directives of a configuration make of trust.

    A scope is the `start` of a block, -1 for the http block.

    Attributes:
        trusts: the set_real_ip_from directives.
        idle: the real_ip_header directives that have no effect, as nobody is trusted around or below them.
        free: whether none is left in the http block, so that the replay can put its own there.
        headers: for each port the headers in which a client's address has to be told, None among them if there is a
            server block where that is impossible.
    """

    def __init__(self, found: Sequence[Directive]) -> None:
        self._outer: Dict[int, int] = {}
        for item in found:
            self._outer[item.start] = -1 if item.words == ("http",) and not item.blocks else self.scope(item)
        own = [item for item in found if _BLOCKS.issuperset(item.blocks) and len(item.words) > 1]
        self.trusts = [item for item in own if item.words[0] == "set_real_ip_from"]
        self._trusting = {self.scope(item) for item in self.trusts}
        below = {scope for trusting in self._trusting for scope in self.around(trusting)}
        named = [item for item in own if item.words[0] == "real_ip_header"]
        self.idle = [
            item
            for item in named
            if self.scope(item) not in below and not self._trusting.intersection(self.around(self.scope(item)))
        ]
        self._named = {self.scope(item): item.words[1] for item in named if item not in self.idle}
        self.free = -1 not in self._trusting and -1 not in self._named
        headers: Dict[int, List[Optional[str]]] = {}
        for item in found:
            if _is_listen(item):
                headers.setdefault(_port(item), []).append(self._told(self.scope(item)))
        self.headers = {port: tuple(dict.fromkeys(names)) for port, names in headers.items()}

    def scope(self, item: Directive) -> int:
        """Returns the scope that a directive is in."""
        return -1 if item.blocks in ((), ("http",)) else item.inside

    def around(self, scope: int) -> List[int]:
        """Returns a scope and those around it, the innermost first."""
        scopes = [scope]
        while scopes[-1] >= 0:
            scopes.append(self._outer[scopes[-1]])
        return scopes

    def named(self, scope: int) -> Optional[str]:
        """Returns what real_ip_header is in force in a scope; None if nginx's default is."""
        return next((self._named[outer] for outer in self.around(scope) if outer in self._named), None)

    def _told(self, scope: int) -> Optional[str]:
        if not self._trusting.intersection(self.around(scope)):
            return _SOURCE_HEADER if self.free and self.named(scope) is None else None
        name = self.named(scope) or _DEFAULT_REAL_IP_HEADER
        return None if name == "proxy_protocol" else name


def _realip_edits(found: Sequence[Directive]) -> List[Tuple[int, int, str]]:
    realip = _RealIp(found)
    edits = [(item.start, item.end, "") for item in realip.idle]
    written: Set[int] = set()
    for item in realip.trusts:
        scope = realip.scope(item)
        added = " set_real_ip_from 127.0.0.1;"
        if realip.named(scope) is None and scope not in written:
            # Otherwise it would get the replay's own header from the http block.
            added += f" real_ip_header {_DEFAULT_REAL_IP_HEADER};"
            written.add(scope)
        edits.append((item.end, item.end, added))
    return edits


def _tls_blocks(found: Sequence[Directive]) -> List[range]:
    """Returns where the server blocks are that only listen with TLS."""
    plain: Dict[int, bool] = {}
    for item in found:
        if _is_listen(item):
            plain[item.inside] = plain.get(item.inside, False) or not {"ssl", "quic"}.intersection(item.words)
    last: Dict[int, int] = {}
    around: Dict[int, int] = {item.start: item.inside for item in found}
    for item in found:
        inside = item.inside
        while inside >= 0:
            last[inside] = item.end
            inside = around[inside]
    return [range(start, last[start]) for start in plain if not plain[start]]


def _edited(text: str, edits: Iterable[Tuple[int, int, str]]) -> str:
    parts: List[str] = []
    position = 0
    for start, end, replacement in sorted(edits):
        # What spans lines leaves its lines behind, so that nginx's messages name the right ones.
        kept = "\n" * (text.count("\n", start, end) - replacement.count("\n"))
        parts += [text[position:start], replacement, kept]
        position = end
    return "".join([*parts, text[position:]])


def _headers(head: bytes) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers
