# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of homeserver.yaml that a release of Synapse reads, from the source of its ``synapse/config``.

Synapse ignores an option that it does not know. The source is read, not run: it is followed from each ``read_config``
to the functions of the same module, and each constant key that is looked up in the configuration is an option. Inside
an option, keys are known as long as the source only looks up constant keys; where a value goes on as a whole (to a
module, a schema, an attribute), anything may be inside, which is noted as ``name.*``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tools.routes.errors import RoutesError
from tools.routes.install import ROOT, environment, numbers

FILE = ROOT / "plugins" / "plugin_utils" / "synapse" / "options.json"
SCHEMA = 1

Known = dict[str, frozenset[str]]
"""The options of each release."""

OPEN = "*"
"""The last part of an option inside which anything may be."""

Path_ = tuple[str, ...]
_LOOKUPS = ("get", "pop", "setdefault")
_ITEM = "[]"
_WRAPPERS = ("cast", "dict", "list", "tuple")
_HARMLESS = ("isinstance", "bool", "len")
_WHOLE = ("config", "config_dict")
"""How Synapse calls the whole configuration: a key that is looked up in it anywhere is an option."""

# Options whose insides are not Synapse's own: of experiments, and of modules.
ALWAYS_OPEN = ("experimental_features", "modules")


def options_of(package: Path) -> tuple[str, ...]:
    """Returns the options of a release, as ``name``, ``name.inner`` and ``name.*``.

    Args:
        package: the directory ``synapse`` of an installed release.

    Raises:
        RoutesError: there is no configuration in it.
    """
    sources = sorted((package / "config").glob("*.py"))
    if not sources:
        raise RoutesError(f"{package} has no config/*.py: this is not a release of Synapse.")
    found: set[Path_] = set()
    opened: set[Path_] = {(name,) for name in ALWAYS_OPEN}
    for source in sources:
        module = _Module(ast.parse(source.read_text(encoding="utf-8")))
        module.read()
        found |= module.found | set(_whole_lookups(module.tree))
        opened |= module.opened
    return tuple(sorted(_names(found, opened)))


def _names(found: set[Path_], opened: set[Path_]) -> Iterator[str]:
    parents = {path[:-1] for path in found}
    for path in found:
        if _ITEM in path or any(path[:length] in opened for length in range(1, len(path))):
            continue
        yield ".".join(path)
        if path in opened or path not in parents:
            yield ".".join((*path, OPEN))


def _whole_lookups(tree: ast.AST) -> Iterator[Path_]:
    for node in ast.walk(tree):
        subject, key = _lookup(node)
        if isinstance(subject, ast.Name) and subject.id in _WHOLE and key is not None:
            yield (key,)


def _lookup(node: ast.AST) -> tuple[ast.expr | None, str | None]:
    """Returns what is asked for which constant key, by ``x.get(key)``, ``x[key]`` or ``key in x``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKUPS and node.args:
        return node.func.value, _constant(node.args[0])
    if isinstance(node, ast.Subscript):
        return node.value, _constant(node.slice)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return node.comparators[0], _constant(node.left)
    return None, None


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_default(node: ast.expr) -> bool:
    """Returns whether a value stands in for an option that is not set: ``{}``, ``[]`` or a constant."""
    return isinstance(node, ast.Constant) or (isinstance(node, (ast.Dict, ast.List)) and not ast.unparse(node)[1:-1])


class _Module:
    """One module of ``synapse/config``."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.found: set[Path_] = set()
        self.opened: set[Path_] = set()
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self._seen: set[tuple[str, tuple[tuple[str, Path_], ...]]] = set()

    def read(self) -> None:
        """Follows the whole configuration from ``read_config``."""
        if "read_config" in self._functions:
            self._follow("read_config", {"config": ()})

    def _follow(self, name: str, bound: dict[str, Path_]) -> None:
        key = (name, tuple(sorted(bound.items())))
        if key not in self._seen:
            self._seen.add(key)
            _Function(self, bound)._visit_all(self._functions[name].body)

    def call(self, node: ast.Call, arguments: list[Path_ | None]) -> bool:
        """Follows a call with tracked arguments into a function of the module; returns whether it is one."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        function = self._functions.get(name)
        if function is None or any(isinstance(argument, ast.Starred) for argument in node.args):
            return False
        names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
        bound = {name: path for name, path in zip(names, arguments, strict=False) if path is not None}
        self._follow(function.name, bound)
        return True


class _Function(ast.NodeVisitor):
    """The body of one function, with the variables that hold a part of the configuration."""

    def __init__(self, module: _Module, bound: dict[str, Path_]) -> None:
        self._module = module
        self._bound = dict(bound)

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    # -- what an expression holds

    def _path(self, node: ast.expr) -> Path_ | None:
        subject, key = _lookup(node)
        if subject is not None and not isinstance(node, ast.Compare):
            parent = self._path(subject)
            return None if parent is None or key is None else (*parent, key)
        if isinstance(node, ast.Name):
            return self._bound.get(node.id)
        if isinstance(node, ast.BoolOp):
            return next((path for value in node.values if (path := self._path(value)) is not None), None)
        if isinstance(node, ast.IfExp):
            return self._path(node.body) or self._path(node.orelse)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _WRAPPERS and node.args:
            return self._path(node.args[-1])
        return None

    def _opens(self, node: ast.expr) -> None:
        """Notes that a value goes on as a whole."""
        path = self._path(node)
        if path:
            self._module.opened.add(path)

    # -- what is done with it

    def generic_visit(self, node: ast.AST) -> None:
        subject, key = _lookup(node)
        parent = None if subject is None else self._path(subject)
        if parent is not None:
            if key is not None:
                self._module.found.add((*parent, key))
            else:
                self._module.opened.add(parent)
        for generator in getattr(node, "generators", ()):
            self._opens(generator.iter)
        super().generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign([node.target], node.value)

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        self.visit(value)
        path = self._path(value)
        for target in targets:
            if isinstance(target, ast.Name):
                if path is not None:
                    self._bound[target.id] = path
                elif not _is_default(value):
                    self._bound.pop(target.id, None)
            else:
                self._opens(value)
                self.visit(target)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        path = self._path(node.iter)
        if path is not None and isinstance(node.target, ast.Name):
            self._bound[node.target.id] = (*path, _ITEM)
            self._module.opened.add(path)
        else:
            self._opens(node.iter)
        self._visit_all([*node.body, *node.orelse])

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            subject = self._path(node.func.value)
            if subject and node.func.attr not in _LOOKUPS:
                self._module.opened.add(subject)  # .items(), .values() and the like
        passed = [*node.args, *(keyword.value for keyword in node.keywords)]
        tracked = [self._path(argument) for argument in node.args]
        if () in tracked:
            # The whole configuration goes to a function together with the names of options.
            names = [_constant(argument) for argument in passed]
            keys = [tuple(name.split(".")) for name in names if name is not None]
            self._module.found |= {key[:1] for key in keys if all(part.isidentifier() for part in key)}
        harmless = getattr(node.func, "id", "") in (*_HARMLESS, *_WRAPPERS) or _lookup(node)[0] is not None
        if any(path is not None for path in tracked) and not harmless and self._module.call(node, tracked):
            passed = [keyword.value for keyword in node.keywords]
        if not harmless:
            for argument in passed:
                self._opens(argument)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for value in node.values:
            self._opens(value)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self._opens(node.value)
            self.visit(node.value)


def read(path: Path = FILE) -> Known:
    """Reads the file of options; empty if there is none."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    releases = document["releases"]
    return {
        release: frozenset(
            name
            for name, since, until in document["options"]
            if place >= releases.index(since) and (until is None or place < releases.index(until))
        )
        for place, release in enumerate(releases)
    }


def text(known: Mapping[str, frozenset[str]]) -> str:
    """Returns the file: an option a line, with the releases since which and until which it is known."""
    releases = sorted(known, key=numbers)
    lines = [
        json.dumps([name, since, until])
        for name in sorted(frozenset().union(*known.values()))
        for since, until in _ranges(name, known, releases)
    ]
    return f'{{"schema": {SCHEMA}, "releases": {json.dumps(releases)}, "options": [\n' + ",\n".join(lines) + "\n]}\n"


def _ranges(name: str, known: Mapping[str, frozenset[str]], releases: list[str]) -> Iterator[tuple[str, str | None]]:
    since: str | None = None
    for release in releases:
        if name in known[release]:
            since = since or release
        elif since is not None:
            yield since, release
            since = None
    if since is not None:
        yield since, None


def with_release(known: Mapping[str, frozenset[str]], release: str, options: Iterable[str]) -> Known:
    """Returns the options with a release put in, in place of another patch of its minor."""
    minor = numbers(release)[:2]
    return {**{name: had for name, had in known.items() if numbers(name)[:2] != minor}, release: frozenset(options)}


def add(release: str, path: Path = FILE) -> int:
    """Puts a release into the file; returns how many options it has."""
    python = environment(release)
    package = next(python.parent.parent.glob("lib/python*/site-packages/synapse"))
    options = options_of(package)
    path.write_text(text(with_release(read(path), release, options)), encoding="utf-8")
    return len([name for name in options if not name.endswith(f".{OPEN}")])


__all__ = ("FILE", "OPEN", "add", "options_of", "read", "text", "with_release")
