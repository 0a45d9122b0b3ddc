# SPDX-License-Identifier: GPL-3.0-or-later
"""Which options are read from a source, and how they are kept over releases."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from tools.routes import options
from tools.routes.errors import RoutesError


def read(tmp_path: Path, body: str, more: str = "") -> set[str]:
    """Returns the options that a ``read_config`` with this body reads."""
    (tmp_path / "config").mkdir()
    text = "class Some(Config):\n    def read_config(self, config, **kwargs):\n" + indent(dedent(body), "        ")
    (tmp_path / "config" / "some.py").write_text(text + "\n" + dedent(more))
    return set(options.options_of(tmp_path)) - {"modules", "modules.*", "experimental_features.*"}


def test_constant_keys_are_options(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        """
        self.a = config.get("a", 1)
        self.b = config["b"]
        if "c" in config:
            pass
        """,
    ) == {"a", "a.*", "b", "b.*", "c", "c.*"}


def test_keys_inside_are_known_while_only_constants_are_looked_up(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        """
        email = config.get("email") or {}
        if email is None:
            email = {}
        self.host = email.get("host")
        policy = email.get("policy", {})
        self.days = policy["days"]
        """,
    ) == {"email", "email.host", "email.host.*", "email.policy", "email.policy.days", "email.policy.days.*"}


@pytest.mark.parametrize(
    "goes_on",
    [
        "Model(**x)",
        "other(x)",
        "self.x = x",
        "y = {'config': x}",
        "return x",
        "z = [k for k in x]",
        "v = x[key]",
        "x.items()",
    ],
)
def test_what_goes_on_as_a_whole_may_hold_anything(tmp_path: Path, goes_on: str) -> None:
    found = read(tmp_path, f"x = config.get('x', {{}})\nself.enabled = x.get('enabled')\n{goes_on}")
    assert {"x", "x.*"} <= found


def test_functions_of_the_module_are_followed(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        self.parse(config)
        part = config.get("part", {})
        self.inner = inner(part)
        """,
        """
        def parse(self, config):
            self.q = config.get("q")

        def inner(part):
            return part.get("deep")
        """,
    )
    assert {"q", "part", "part.deep"} <= found
    assert "part.*" not in found


def test_names_that_go_to_a_function_with_the_configuration_are_options(tmp_path: Path) -> None:
    found = read(tmp_path, 'self.r = Limit.parse(config, key="rc_joins.local", fallback={"per_second": 1})')
    assert {"rc_joins", "rc_joins.*"} <= found


def test_releases_are_kept_as_ranges_and_a_patch_takes_the_place_of_its_minor() -> None:
    known = {"1.130.0": frozenset({"a", "b"}), "1.131.0": frozenset({"a"}), "1.132.0": frozenset({"a", "b"})}
    written = options.text(known)
    assert '["b", "1.130.0", "1.131.0"]' in written
    assert '["b", "1.132.0", null]' in written
    newer = options.with_release(known, "1.131.2", {"c"})
    assert sorted(newer) == ["1.130.0", "1.131.2", "1.132.0"]
    assert newer["1.131.2"] == {"c"}


def test_the_file_says_again_what_was_written(tmp_path: Path) -> None:
    known = {"1.130.0": frozenset({"a", "a.*"}), "1.140.0": frozenset({"b"})}
    (tmp_path / "options.json").write_text(options.text(known))
    assert options.read(tmp_path / "options.json") == known
    shipped = options.read()
    assert options.text(shipped) == options.FILE.read_text()


def test_a_directory_without_configuration_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match="not a release"):
        options.options_of(tmp_path)
