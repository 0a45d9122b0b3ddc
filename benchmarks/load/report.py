# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a load: requests, failures, delays, gaps, and lost messages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from tools.docs_tables import table

LIMITED = 429


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended.

    Attributes:
        kind: what was asked for.
        started: when, in seconds of the monotonic clock.
        seconds: until the end of the answer, or until the failure.
        status: of HTTP; 0 without a whole answer.
        reason: what was wrong, empty if nothing was.
    """

    kind: str
    started: float
    seconds: float
    status: int
    reason: str = ""

    @property
    def ended(self) -> float:
        """When it ended, in seconds of the monotonic clock."""
        return self.started + self.seconds

    @property
    def failed(self) -> bool:
        """Returns whether the server failed: no whole answer in time, or a status of 500 or more."""
        return self.status == 0 or self.status >= 500

    @property
    def refused(self) -> bool:
        """Returns whether the server refused what it must accept. A rate limit is neither a failure nor a refusal."""
        return 400 <= self.status < 500 and self.status != LIMITED

    @property
    def bad(self) -> bool:
        """Returns whether the user did not get what it asked for, and not because of a rate limit."""
        return self.failed or self.refused


@dataclass(frozen=True)
class Kind:
    """The requests of one kind; times are in seconds.

    Attributes:
        name: of the kind.
        outcomes: in the order in which they ended.
    """

    name: str
    outcomes: Sequence[Outcome]

    @property
    def failed(self) -> list[Outcome]:
        """The failures."""
        return [outcome for outcome in self.outcomes if outcome.failed]

    @property
    def refused(self) -> list[Outcome]:
        """The refusals."""
        return [outcome for outcome in self.outcomes if outcome.refused]

    def percentile(self, share: float) -> float:
        """Returns the delay within which this share (0 to 1) of the answered requests were answered."""
        delays = sorted(outcome.seconds for outcome in self.outcomes if not outcome.failed)
        return delays[max(0, math.ceil(share * len(delays)) - 1)] if delays else math.nan

    @property
    def longest(self) -> float:
        """The longest delay, of failures too."""
        return max(outcome.seconds for outcome in self.outcomes)

    @property
    def gap(self) -> float:
        """The longest time from the start of a failure to the end of the first success after it; infinite if none came.

        A user whose request failed tries again at its next turn, so the end is at most that later. The time before the
        first failure does not count: seconds lie between two logins, and would measure the load instead of the fleet.
        """
        longest, began = 0.0, math.inf
        for outcome in self.outcomes:
            if outcome.bad:
                began = min(began, outcome.started)
            else:
                longest, began = max(longest, outcome.ended - began), math.inf
        return math.inf if began < math.inf else longest


@dataclass(frozen=True)
class Report:
    """All requests of some time.

    Attributes:
        outcomes: in the order in which they ended.
        seconds: how long the time was.
        races: requests that crossed the end of an idle connection; see the module ``transport``.
        moves: connections that went to another edge, because theirs was gone.
        deliveries: seconds from the start of a send until the message was in a sync of a member, for each of both.
    """

    outcomes: Sequence[Outcome]
    seconds: float
    races: int = 0
    moves: int = 0
    deliveries: Sequence[float] = field(default=(), repr=False)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kinds that occurred, by name."""
        names = sorted({outcome.kind for outcome in self.outcomes})
        return {name: Kind(name, [outcome for outcome in self.outcomes if outcome.kind == name]) for name in names}

    @property
    def failed(self) -> list[Outcome]:
        """The failures of all kinds."""
        return [outcome for outcome in self.outcomes if outcome.failed]

    @property
    def refused(self) -> list[Outcome]:
        """The refusals of all kinds."""
        return [outcome for outcome in self.outcomes if outcome.refused]

    @property
    def bad(self) -> list[Outcome]:
        """The failures and refusals of all kinds."""
        return [outcome for outcome in self.outcomes if outcome.bad]

    @property
    def failed_kinds(self) -> set[str]:
        """The kinds with failures or refusals."""
        return {outcome.kind for outcome in self.bad}

    @property
    def gap(self) -> float:
        """The longest gap of a kind, in seconds."""
        return max((kind.gap for kind in self.kinds.values()), default=0.0)

    def apart_from(self, kinds: Collection[str]) -> list[Outcome]:
        """Returns the failures and refusals of all other kinds."""
        return [outcome for outcome in self.bad if outcome.kind not in kinds]

    def reasons(self) -> str:
        """Returns what was wrong, with its number, on one line."""
        counted = Counter(f"{outcome.kind}: {outcome.reason}" for outcome in (*self.failed, *self.refused))
        return "; ".join(f"{count} times {what}" for what, count in counted.most_common()) or "nothing failed"

    def table(self) -> str:
        """Returns the kinds as a Markdown table; delays and gaps in milliseconds."""
        rows = [_row(kind) for kind in self.kinds.values()]
        heads = ("kind", "requests", "failed", "refused", "limited", "p50", "p95", "p99", "longest", "gap")
        return table(heads, rows)

    def summary(self) -> str:
        """Returns the table with what belongs to no kind."""
        late = f"{max(self.deliveries):.1f} s" if self.deliveries else "no message"
        total = f"{len(self.outcomes)} requests in {self.seconds:.0f} s"
        bad = f"{len(self.failed)} failed, {len(self.refused)} refused ({self.reasons()})"
        rest = f"{self.races} races, {self.moves} moves to another edge; slowest delivery: {late}"
        return f"{self.table()}\n{total}: {bad}; {rest}"


def _row(kind: Kind) -> tuple[str, ...]:
    limited = sum(outcome.status == LIMITED for outcome in kind.outcomes)
    counts = (len(kind.outcomes), len(kind.failed), len(kind.refused), limited)
    times = (kind.percentile(0.5), kind.percentile(0.95), kind.percentile(0.99), kind.longest, kind.gap)
    return (kind.name, *map(str, counts), *(f"{time * 1000:.0f}" for time in times))


@dataclass(frozen=True)
class Message:
    """An acknowledged message.

    Attributes:
        event_id: what the server answered.
        room: its room.
        started: when the request began, in seconds of the monotonic clock.
        acknowledged: when the answer was there.
    """

    event_id: str
    room: str
    started: float
    acknowledged: float


@dataclass(frozen=True)
class Verification:
    """What became of the acknowledged messages.

    Attributes:
        acknowledged: how many there are.
        missing: those that are not in the history of their room.
        unseen: the last ones of a room that a member's fresh sync does not show, as ``USER EVENT``.
        doubled: texts that are in a history under two events, or events that are in it twice.
        undelivered: messages that never came to a member through its syncs, as ``USER EVENT``.
        delivered_twice: messages that came to a member twice, as ``USER EVENT``.
    """

    acknowledged: int
    missing: Sequence[Message] = ()
    unseen: Sequence[str] = ()
    doubled: Sequence[str] = ()
    undelivered: Sequence[str] = ()
    delivered_twice: Sequence[str] = ()

    @property
    def problems(self) -> str:
        """One line of what is wrong; empty if every message is where it belongs, once."""
        names: Iterable[str] = ("missing", "unseen", "doubled", "undelivered", "delivered_twice")
        found = {name: getattr(self, name) for name in names}
        return "; ".join(f"{len(items)} {name}, such as {items[0]}" for name, items in found.items() if items)
