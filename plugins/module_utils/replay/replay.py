# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays requests against a real nginx that has a given configuration, and records what arrives behind it.

Private to the collection. nginx runs on its own below a temporary folder. In its configuration only places are replaced
(`relocation`): servers of upstreams become UNIX sockets of this process, which record every request and answer it with
an empty 200; ports become ports of the loopback interface without TLS; logs go to the temporary folder. So no request
ever reaches a process of the real fleet, and nginx's own code decides what nginx does.

One event loop is both the clients (`clients`) and the servers (`upstreams`): it runs only while `Replay` waits.
"""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import Awaitable, Dict, Iterable, List, Optional, Sequence, Tuple, TypeVar

from .clients import Clients
from .configuration import directives, stray_addresses, upstream_servers
from .errors import ReplayError
from .messages import Reception, Recorded, Request
from .nginx import Nginx
from .real_ip import RealIp, is_bindable
from .upstreams import Manner, Recorder

_OPEN_FILES = 16384
_T = TypeVar("_T")


class Replay:
    """nginx with a configuration, clients before it, and recording servers behind it; a context manager.

    Attributes:
        servers: the addresses of all servers of upstreams, as the configuration has them.
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
        whole = f"{http_conf}\n{site_conf}"
        self.servers = upstream_servers(whole)
        self._real_ip = RealIp(directives(whole))
        texts = {"http.conf": http_conf, "site.conf": site_conf}
        self._nginx = Nginx(nginx, texts, self.servers, adds_real_ip=self._real_ip.free)
        self._host = host
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._recorders: Dict[str, Recorder] = {}
        self._receptions: Dict[int, List[Reception]] = {}
        self._sent = 0

    def __enter__(self) -> Replay:
        """Starts nginx.

        Raises:
            ReplayError: nginx refuses the configuration.
        """
        _allow_open_files()
        self._loop = asyncio.new_event_loop()
        try:
            self._nginx.create()
            self._recorders = {
                server: Recorder(self._nginx.socket_of(server), server, self._receptions) for server in self.servers
            }
            self.up(self.servers)
            self._nginx.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends nginx and removes all that was written."""
        self._nginx.stop()
        self.down(self._recorders)
        if self._loop is not None:
            self._loop.close()
        self._nginx.remove()

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
        first = self._sent
        self._sent += len(requests)
        encoded = [
            (request, request.encode(number, self._host, self._told(request)))
            for number, request in enumerate(requests, first)
        ]
        try:
            answers = self._wait(Clients(self._nginx.ports).send(encoded, connections))
        except ReplayError as error:
            raise ReplayError(f"{error}\n{self._nginx.last_errors()}") from error
        return [
            Recorded(answer.status, tuple(self._receptions.pop(number, ())), answer.head)
            for number, answer in enumerate(answers, first)
        ]

    def down(self, addresses: Iterable[str]) -> None:
        """Makes these servers refuse connections, and closes the ones that are open."""
        for address in addresses:
            self._wait(self._recorders[address].close())

    def up(self, addresses: Iterable[str]) -> None:
        """Makes these servers answer again. What nginx has noted about them stays; `restart` lets it forget."""
        self._open(addresses, Manner.ANSWER)

    def broken(self, addresses: Iterable[str]) -> None:
        """Makes these servers read and record requests, and close the connection without an answer."""
        self._open(addresses, Manner.CLOSE)

    def silent(self, addresses: Iterable[str]) -> None:
        """Makes these servers read and record requests, and never answer: nginx waits for its proxy_read_timeout."""
        self._open(addresses, Manner.WAIT)

    def restart(self) -> None:
        """Restarts nginx, with all upstreams up, an empty log, and no record of failed servers."""
        self.up(self.servers)
        self._nginx.stop()
        self._nginx.start()

    def log(self, count: int) -> List[str]:
        """Returns the next lines of the access log since the start, with the servers' addresses as configured.

        Args:
            count: how many lines there have to be; nginx writes a line shortly after its answer.

        Raises:
            ReplayError: there are fewer.
        """
        return self._nginx.log(count)

    def _open(self, addresses: Iterable[str], manner: Manner) -> None:
        for address in addresses:
            self._recorders[address].manner = manner
            self._wait(self._recorders[address].open())

    def _wait(self, what: Awaitable[_T]) -> _T:
        assert self._loop is not None
        return self._loop.run_until_complete(what)

    def _told(self, request: Request) -> List[Tuple[str, str]]:
        """Returns the headers with the address of a client for nginx."""
        if request.source is None or is_bindable(request.source):
            return []
        headers = [name for name in self._real_ip.headers[request.port] if name is not None]
        if len(headers) < len(self._real_ip.headers[request.port]):
            raise ReplayError(
                f"a request cannot come from {request.source}: on port {request.port} the configuration's own real_ip"
                " directives leave no header for it"
            )
        return [(name, request.source) for name in headers]


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


__all__ = ("Replay",)
