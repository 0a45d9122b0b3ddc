# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that would leave the place that they are printed to, if nothing quoted or refused them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_SPECIAL = " \t\n\r\0\\\"'`$%{}();:,#~=*?&|<>!@^[]-+./aZ0é\x7f\x85\u2028\U0001f600"

FIXED = (
    *(
        "$host",
        "${host}",
        "$request_uri",
        "a;b",
        "a}b",
        "a{b",
        "a#b",
        'a"b',
        "a'b",
        "a b",
        "a\tb",
        "a\\",
        "a\\b",
        "\\n",
    ),
    *("a\nb", "a\r\nb", "a\0b", "\n", "", " ", "%h", "%%", "%", "${A}", "$(id)", "`id`", "a;}\nserver { listen 1; }"),
    *(
        '";\nload_module x;',
        "';\n",
        "[Service]\nExecStart=/bin/sh",
        "a\n---\nb: 1",
        "- a",
        "a: b",
        "!!python/none",
        "&a *a",
    ),
    *(
        "{{ lookup('pipe', 'id') }}",
        "{% raw %}",
        "<<EOF",
        "yes",
        "null",
        "1e3",
        "0x10",
        "~",
        "\ud800",
        "é",
        "\U0001f600",
    ),
    *(
        "/etc/../etc",
        "/a b",
        "/a$b",
        "/a;b",
        '/a"b',
        "/a\\b",
        "/a\nb",
        "/a%b",
        "/home/a",
        "/",
        "/etc",
        "/srv/x/",
        "//srv",
    ),
    *(
        "fe80::1%eth0",
        "10.0.0.1\n",
        "10.0.0.1;",
        "0.0.0.0",  # noqa: S104
        "::",
        "::ffff:10.0.0.1",
        "10.0.0.0/255.0.0.0",
        "1.2.3.4/33",
    ),
)
"""Texts that once were a way out, in some grammar."""

texts = st.one_of(
    st.sampled_from(FIXED),
    st.text(st.sampled_from(_SPECIAL), max_size=12),
    st.text(max_size=20),
    st.builds(lambda text: f"/{text}", st.text(st.sampled_from(_SPECIAL), max_size=12)),
)

values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
"""What YAML may have: texts, numbers, lists and mappings of them."""
