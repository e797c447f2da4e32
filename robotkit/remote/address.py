"""`parse_url`: the address of a robot server, or a sentence about what is wrong with it."""

from __future__ import annotations

import re

import httpx

from robotkit.errors import InvalidConfiguration

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def parse_url(text: str) -> httpx.URL:
    """The address of a server: scheme, host and port, and nothing else.

    Raises:
        InvalidConfiguration: it is not of the form "http://host:port"; an IPv6 address stands in brackets.
    """
    try:
        # A zone is written %25 in a URL (RFC 6874) and % everywhere else.
        url = httpx.URL(text.replace("%25", "%").rstrip("/"))
        port = url.port
    except (httpx.InvalidURL, ValueError, TypeError, AttributeError) as error:
        raise _refused(text, str(error)) from error
    host = url.raw_host.decode("ascii")
    if url.scheme not in ("http", "https"):
        raise _refused(text, "it begins with neither http:// nor https://")
    if not host:
        raise _refused(text, "it names no host")
    if ":" not in host and not _HOST_NAME.fullmatch(host):
        raise _refused(text, f"{url.host!r} is not the name of a host")
    if port is not None and not 1 <= port <= 65535:
        raise _refused(text, f"a port is a number from 1 to 65535, not {port}")
    if url.userinfo:
        raise _refused(text, "it holds a user; a token is given as token=, or in ROBOTKIT_TOKEN")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise _refused(text, "it goes on after the port")
    return url


def _refused(text: object, why: str) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"{text!r} is not the address of a robot server: {why}. "
        "Expected is http://host:port, such as http://127.0.0.1:5000 or http://[::1]:5000"
    )
