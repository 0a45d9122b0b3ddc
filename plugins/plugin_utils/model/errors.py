# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error that the model raises: what is wrong with the inventory, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

_MOST_SHOWN = 200


class Hidden(str):
    """What is shown instead of a value that may be a secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


HIDDEN = Hidden("(not shown)")


class TopologyError(ValueError):
    """A wrong inventory, reported as variable, value, reason and fix.

    Args:
        variable: the variable as the operator writes it, with the path inside it (``generic_workers.sync.count``).
        value: what was found there; ``HIDDEN`` if it may be a secret.
        reason: why it cannot be, without a full stop.
        fix: what to write instead, a whole sentence.
        host: the host whose variable it is, or several of them with commas between, if it is not the same everywhere.
    """

    def __init__(self, variable: str, value: object, reason: str, fix: str, host: str | None = None) -> None:
        self.variable = variable
        self.value = value
        self.reason = reason
        self.fix = fix
        self.host = host
        where = f" on host{'s' if ', ' in host else ''} {host}" if host else ""
        super().__init__(f"{variable}{where} is {shown(value)}: {reason}. {fix}")

    @property
    def all(self) -> tuple[TopologyError, ...]:
        """The errors that this one stands for."""
        return (self,)


class TopologyErrors(TopologyError):  # noqa: N818  # several of them
    """Several errors, each on a line of its own; the attributes are those of the first.

    Args:
        errors: the errors, two or more.
    """

    def __init__(self, errors: Sequence[TopologyError]) -> None:
        first = errors[0]
        super().__init__(first.variable, first.value, first.reason, first.fix, first.host)
        self.args = ("\n".join(str(error) for error in errors),)
        self._errors = tuple(errors)

    @property
    def all(self) -> tuple[TopologyError, ...]:
        """The errors that this one stands for."""
        return self._errors


class Problems:
    """Collects what is wrong, so that all of it is reported at once.

    Attributes:
        found: the errors so far.
    """

    def __init__(self) -> None:
        self.found: list[TopologyError] = []

    def add(self, errors: Iterable[TopologyError]) -> None:
        """Adds errors.

        Args:
            errors: what a check has found.
        """
        self.found.extend(errors)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Adds what is raised inside, and goes on behind it."""
        try:
            yield
        except TopologyError as error:
            self.add(error.all)

    def concern(self, *variables: str) -> bool:
        """Returns whether one of these variables, or a part of it, is wrong."""
        return any(error.variable.partition(".")[0] in variables for error in self.found)

    def refuse(self) -> None:
        """Raises what was found, if anything was."""
        errors = joined(self.found)
        if errors:
            raise errors[0] if len(errors) == 1 else TopologyErrors(errors)


def joined(errors: Iterable[TopologyError]) -> list[TopologyError]:
    """Returns the errors, with one for several hosts where only the host differs."""
    alike: dict[tuple[str, str, str, str], list[TopologyError]] = {}
    for error in errors:
        alike.setdefault((error.variable, shown(error.value), error.reason, error.fix), []).append(error)
    return [_for_all_hosts(same) for same in alike.values()]


def _for_all_hosts(same: Sequence[TopologyError]) -> TopologyError:
    first = same[0]
    hosts = [host for host in dict.fromkeys(error.host for error in same) if host]
    if len(hosts) < 2:
        return first
    return TopologyError(first.variable, first.value, first.reason, first.fix, ", ".join(hosts))


def shown(value: object) -> str:
    """Returns a value as messages show it."""
    if value is None:
        return "not set"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns a sentence that names the nearest known word, or all of them if none is near."""
    names = sorted(known)
    if not names:
        return "There is none at all."
    near = get_close_matches(word, names, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known are: {', '.join(names)}."
