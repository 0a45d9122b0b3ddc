# SPDX-License-Identifier: GPL-3.0-or-later
"""Single sign-on, with the providers of `outsider.py`. A session begins and ends in the process that is asked."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tools.proof.cases.case import Case
from tools.proof.errors import ProofError
from tools.proof.provider import logout_token
from tools.proof.world import OUTSIDE, C, Exchange

SYNAPSE = "/_synapse/client"
BACK = "redirectUrl=https%3A%2F%2Fclient.example.com%2F"
HTML = ("body",)
_SESSION = """
INSERT INTO device_auth_providers (user_id, device_id, auth_provider_id, auth_provider_session_id)
  VALUES ('{}', '{}', 'oidc-proof', '{}');
"""


def _begun(exchange: Exchange) -> None:
    """A user comes from the homeserver to its provider."""
    answer = exchange.ask("GET", f"{C}/login/sso/redirect/oidc-proof?{BACK}")
    state = parse_qs(urlsplit(answer.location).query).get("state")
    if answer.status not in (302, 303) or not state:
        raise ProofError(f"the provider is not redirected to: {answer.status} {answer.content[:300]!r}")
    exchange.names["new_state"] = state[0]


def _returned(exchange: Exchange) -> None:
    """The provider sends the user back, who has no name yet."""
    _begun(exchange)
    path = exchange.fill(f"{SYNAPSE}/oidc/callback?code={{new}}&state={{new_state}}")
    answer = exchange.ask("GET", path)
    if answer.status not in (302, 303):
        raise ProofError(f"the user may not choose a name: {answer.status} {answer.content[:300]!r}")


def _named(exchange: Exchange) -> None:
    """The user has chosen a name."""
    _returned(exchange)
    form = f"username={exchange.get('new2')}&use_display_name=false"
    answer = exchange.ask("POST", f"{SYNAPSE}/pick_username/account_details", form)
    if answer.status not in (302, 303):
        raise ProofError(f"the name is refused: {answer.status} {answer.content[:300]!r}")


def _logout(exchange: Exchange) -> None:
    """The new user has logged in through the provider, which ends that session."""
    user, session = exchange.get("new_user"), exchange.get("new")
    exchange.world.sql(_SESSION.format(user.user_id, user.device_id, session))
    exchange.names["new_token"] = logout_token(f"{OUTSIDE}/", session)


CALLBACK = f"{SYNAPSE}/oidc/callback"
FORM = "application/x-www-form-urlencoded"

CASES = (
    Case("GET", f"{C}/login/sso/redirect?{BACK}", who="nobody", status=302),
    Case("GET", f"{C}/login/cas/redirect?{BACK}", who="nobody", status=302),
    Case("GET", f"{C}/login/sso/redirect/oidc-proof?{BACK}", who="nobody", status=302),
    Case("GET", f"{SYNAPSE}/pick_idp?{BACK}", who="nobody", volatile=HTML),
    Case("GET", f"{SYNAPSE}/pick_idp?{BACK}&idp=oidc-proof", who="nobody", status=302),
    Case("GET", f"{C}/login/cas/ticket?{BACK}&ticket={{new}}", who="nobody", volatile=HTML),
    Case("GET", f"{CALLBACK}?code={{new}}&state={{new_state}}", who="nobody", status=302, before=_begun),
    Case(
        "POST",
        CALLBACK,
        who="nobody",
        status=302,
        before=_begun,
        content=(b"code={new}&state={new_state}", FORM),
    ),
    Case("GET", f"{SYNAPSE}/pick_username/account_details", who="nobody", before=_returned, volatile=HTML),
    Case("GET", f"{SYNAPSE}/pick_username/check?username={{new2}}", who="nobody", before=_returned),
    Case(
        "POST",
        f"{SYNAPSE}/pick_username/account_details",
        who="nobody",
        status=302,
        before=_returned,
        content=(b"username={new2}&use_display_name=false", FORM),
    ),
    Case("GET", f"{SYNAPSE}/new_user_consent", who="nobody", before=_named, volatile=HTML),
    Case(
        "POST",
        f"{SYNAPSE}/new_user_consent",
        who="nobody",
        status=302,
        before=_named,
        content=(b"accepted_version=1", FORM),
    ),
    Case("GET", f"{SYNAPSE}/sso_register", who="nobody", before=_named, volatile=HTML),
    Case(
        "POST",
        f"{SYNAPSE}/oidc/backchannel_logout",
        who="nobody",
        before=_logout,
        content=(b"logout_token={new_token}", FORM),
    ),
)
