"""A doorkeeper lets in who asks for this server by its name, and elsewhere has its token.

A page of the web may have its own name point here (DNS rebinding): its browser then sends that name
as the Host, and would read and delete studies for it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "gpu_allocation_token"
HOST = re.compile(r"(?:\[([^\]\s]+)\]|([^\s\[\]:/?#@\\]+))(?::\d{1,5})?")


class Doorkeeper:
    """A doorkeeper stands before an application.

    Args:
        inner: The application.
        host: The name or address of this machine by which it is asked for; what leads back here,
            as through `ssh -L`, is its own too.
        token: What who asks must show once; None for nothing, on the loopback interface.
    """

    def __init__(self, inner: WSGIApplication, host: str, token: str | None) -> None:
        self._inner, self._names, self._token = inner, {host.lower(), *LOOPBACK}, token

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = HOST.fullmatch(environ.get("HTTP_HOST", ""))
        if host is None or (host[1] or host[2]).lower() not in self._names:
            why = "421 Misdirected Request", "this server answers to its own name alone"
            return _refusal(start_response, *why)
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and ("@" in origin or _name(origin) not in self._names):
            return _refusal(start_response, "403 Forbidden", "the page of another server asks")
        if self._token is None or self._is_known(environ):
            return self._inner(environ, start_response)
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if not any(name == "token" and self._is_token(value) for name, value in query):
            why = "403 Forbidden", "open the address with its token, as the terminal shows it"
            return _refusal(start_response, *why)
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # one slash: two would lead to another server
        path = "/" + environ.get("PATH_INFO", "").lstrip("/\\").encode("latin-1").decode(
            errors="ignore"
        )
        place = urlsplit(path)._replace(scheme="", netloc="", query=rest).geturl()
        headers = [
            ("Location", "".join(c for c in place if c.isascii() and c.isprintable()) or "/"),
            ("Set-Cookie", f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict"),
            ("Content-Length", "0"),
        ]
        start_response("303 See Other", headers)
        return []

    def _is_known(self, environ: WSGIEnvironment) -> bool:
        try:
            cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(errors="replace"), (self._token or "").encode())


def _name(url: str) -> str | None:
    """Return the host of a URL, without its port; None where there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _refusal(start_response: StartResponse, status: str, why: str) -> list[bytes]:
    body = f"{why}\n".encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
