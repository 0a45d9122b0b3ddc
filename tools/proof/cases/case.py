# SPDX-License-Identifier: GPL-3.0-or-later
"""One request that a process answers with success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tools.proof.world import Exchange


@dataclass(frozen=True)
class Case:
    """One request. Names in braces are filled in, see `tools.proof.world`.

    Attributes:
        method: the method.
        path: the raw path and query; what names stand for is encoded.
        body: the JSON that is sent.
        who: who sends it: alice, bob, admin, new_user, appservice, mas, peer (another server, signed), nobody.
        status: what the right answer is.
        volatile: fields of the answer that differ from request to request; they have to be there.
        before: what has to be done first for this request.
        build: makes the body, where names are not enough.
        content: the body, if it is no JSON; with its type.
    """

    method: str
    path: str
    body: Any = field(default=None, hash=False)
    who: str = "alice"
    status: int = 200
    volatile: tuple[str, ...] = ()
    before: Callable[[Exchange], object] | None = None
    build: Callable[[Exchange], Any] | None = None
    content: tuple[bytes, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
