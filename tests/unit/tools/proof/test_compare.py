# SPDX-License-Identifier: GPL-3.0-or-later
"""Two answers are the same, but for what belongs to one request alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.proof.compare import normal
from tools.proof.host import Answer


def answer(body: Any, status: int = 200, **more: Any) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, content, "application/json", **more)


def test_what_was_made_for_one_request_gets_its_name_wherever_it_is() -> None:
    one = answer({"rooms": {"!a:x": {"by": "@u1:x"}}, "link": "/rooms/%21a%3Ax"})
    two = answer({"rooms": {"!b:x": {"by": "@u2:x"}}, "link": "/rooms/%21b%3Ax"})
    names = ({"new_room": "!a:x", "new_user_id": "@u1:x"}, {"new_room": "!b:x", "new_user_id": "@u2:x"})
    assert normal(one, names[0]) == normal(two, names[1])
    assert "{new_room}" in normal(one, names[0])


def test_a_name_inside_of_another_one_does_not_hide_it() -> None:
    names = {"new_user_name": "p1", "new_user_id": "@p1:x"}
    assert '"{new_user_id}"' in normal(answer({"user": "@p1:x"}), names)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (answer({"a": 1}), answer({"a": 2})),
        (answer({"a": 1}), answer({"a": 1, "b": 1})),
        (answer({"a": [1, 2]}), answer({"a": [2, 1]})),
        (answer({}), answer({}, 500)),
        (answer(b"<html>"), answer(b"<p>")),
        (answer({}, 302, location="https://a.example/x"), answer({}, 302, location="https://b.example/x")),
    ],
)
def test_another_answer_is_not_the_same(one: Answer, two: Answer) -> None:
    assert normal(one, {}) != normal(two, {})


def test_a_field_that_tells_the_time_counts_by_its_type_only() -> None:
    assert normal(answer({"age": 1}), {}) == normal(answer({"age": 2}), {})
    assert normal(answer({"age": 1}), {}) != normal(answer({"age": "1"}), {})
    assert normal(answer({"age": 1}), {}) != normal(answer({}), {})


def test_a_volatile_field_of_a_case_counts_by_its_type_only() -> None:
    one, two = answer({"in": {"event_id": "$a"}}), answer({"in": {"event_id": "$b"}})
    assert normal(one, {}) != normal(two, {})
    assert normal(one, {}, ["event_id"]) == normal(two, {}, ["event_id"])


def test_a_page_is_compared_by_its_text_unless_it_is_volatile() -> None:
    one, two = answer(b"<p>1</p>"), answer(b"<p>2</p>")
    assert normal(one, {}) != normal(two, {})
    assert normal(one, {}, ["body"]) == normal(two, {}, ["body"])


def test_a_redirect_is_compared_without_its_query() -> None:
    one, two = (answer({}, 302, location=f"https://a.example/x?state={state}") for state in "12")
    assert normal(one, {}) == normal(two, {})
