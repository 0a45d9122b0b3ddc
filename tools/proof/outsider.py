# SPDX-License-Identifier: GPL-3.0-or-later
"""What a homeserver asks of others, on the host itself: identity providers, an application service, a web page.

Runs on the host with its own Python. Everybody is let in: what is asked about is the name of the user.

    python3 outsider.py PORT KEYS
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CAS = (
    "<cas:serviceResponse xmlns:cas='http://www.yale.edu/tp/cas'><cas:authenticationSuccess>"
    "<cas:user>{}</cas:user></cas:authenticationSuccess></cas:serviceResponse>"
)
PAGE = "<html><head><title>proof</title></head><body>A page</body></html>"


class Handler(BaseHTTPRequestHandler):
    """Answers all of them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers a provider's questions about users, and a page."""
        where = urlsplit(self.path)
        asked = parse_qs(where.query)
        if where.path.endswith("/proxyValidate"):
            self._say(CAS.format(asked["ticket"][0]), "text/xml")
        elif where.path == "/userinfo":
            name = self.headers["Authorization"].partition(" ")[2]
            self._say(json.dumps({"sub": name}))
        elif where.path == "/jwks":
            self._say(sys.argv[2])
        elif where.path == "/.well-known/openid-configuration":
            base = "http://" + self.headers["Host"]
            metadata = {"issuer": base + "/", "introspection_endpoint": base + "/oauth2/introspect"}
            self._say(json.dumps(metadata))
        else:
            self._say(PAGE, "text/html")

    def do_POST(self) -> None:
        """Gives tokens, and tells whose they are."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = parse_qs(body)
        if self.path == "/token":
            self._say(json.dumps({"access_token": asked["code"][0], "token_type": "bearer", "expires_in": 3600}))
        elif self.path == "/oauth2/introspect":
            self._say(json.dumps(introspected(asked["token"][0])))
        else:
            self._say("{}")

    do_PUT = do_POST  # noqa: N815  # the name is the one of the base class

    def _say(self, text: str, kind: str = "application/json") -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing: requests have tokens in them."""


def introspected(token: str) -> "dict[str, object]":
    """Tells of a token what is written in it: kind, user and device."""
    kind, name, device = [*token.split("."), "", ""][:3]
    scopes = ["urn:matrix:client:api:*", "urn:matrix:client:device:" + device]
    if kind == "admin":
        scopes.append("urn:synapse:admin:*")
    return {
        "active": bool(name),
        "scope": " ".join(scopes),
        "username": name,
        "sub": name,
        "device_id": device,
        "expires_in": 3600,
    }


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
