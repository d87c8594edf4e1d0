"""Only who asks for the server by its own name is let in, and elsewhere who has the token."""

from __future__ import annotations

from typing import Any

import pytest

from study.dashboard.doorkeeper import Doorkeeper

TOKEN = "s3cret-of-this-server"


def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"studies"]


def asked(doorkeeper: Doorkeeper, **environ: str) -> tuple[str, dict[str, str], bytes]:
    response: list[Any] = []
    full = {"PATH_INFO": "/api/studies", "HTTP_HOST": "127.0.0.1:8080", **environ}
    body = b"".join(doorkeeper(full, lambda *more: response.extend(more)))  # type: ignore[arg-type]
    return response[0], dict(response[1]), body


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:9", "[::1]:8080", "gpu-box.lan:8080"]
)
def test_its_own_names_are_answered(host: str) -> None:
    assert asked(Doorkeeper(inner, "gpu-box.lan", None), HTTP_HOST=host)[0] == "200 OK"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "evil.example@x", ""),
        *("[::1", "127.0.0.1:8080@evil.example", "localhost.", "0.0.0.0:8080", "2130706433"),
        *("evil.example@127.0.0.1", "127.0.0.1/evil", "localhost?x", "localhost#x", "localhost:x"),
        *("localhost:80:80", "127.0.0.1,evil.example", " localhost", "[localhost", "127.0.0.1:"),
    ],
)
def test_another_name_is_misdirected(host: str) -> None:
    status, _, body = asked(Doorkeeper(inner, "127.0.0.1", None), HTTP_HOST=host)
    assert status == "421 Misdirected Request"
    assert b"studies" not in body


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://[::1", "http://evil@localhost"]
)
def test_the_page_of_another_server_may_not_ask(origin: str) -> None:
    doorkeeper = Doorkeeper(inner, "127.0.0.1", None)
    assert asked(doorkeeper, HTTP_ORIGIN=origin)[0] == "403 Forbidden"
    assert asked(doorkeeper, HTTP_ORIGIN="http://127.0.0.1:8080")[0] == "200 OK"


def test_elsewhere_the_token_opens_and_a_cookie_keeps_it() -> None:
    doorkeeper = Doorkeeper(inner, "192.0.2.7", TOKEN)
    here = {"HTTP_HOST": "192.0.2.7:8080"}
    for wrong in ("", "token=", "token=x", "tokens=" + TOKEN):
        assert asked(doorkeeper, **here, QUERY_STRING=wrong)[0] == "403 Forbidden"
    status, headers, _ = asked(doorkeeper, **here, QUERY_STRING=f"a=1&token={TOKEN}")
    assert (status, headers["Location"]) == ("303 See Other", "/api/studies?a=1")
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert asked(doorkeeper, **here, HTTP_COOKIE=cookie)[0] == "200 OK"
    for wrong in (cookie + "x", "gpu_allocation_token", "\x00;=;", ""):
        assert asked(doorkeeper, **here, HTTP_COOKIE=wrong)[0] == "403 Forbidden"


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "/\r\nX: y", "\xe2\x82"])
def test_no_path_leads_to_another_server(path: str) -> None:
    place = asked(Doorkeeper(inner, "h", TOKEN), PATH_INFO=path, QUERY_STRING=f"token={TOKEN}")[1]
    assert place["Location"].startswith("/")
    assert not place["Location"].startswith(("//", "/\\"))
    assert place["Location"].isprintable()
