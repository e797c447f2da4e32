"""`learner_url`: the address of a learner, in the one form that clients take."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

from rl.errors import ConfigError

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def learner_url(scheme: Literal["http", "ws"], host: str, port: int) -> str:
    """The address of a learner.

    Args:
        scheme: what is spoken there.
        host: a name, an IPv4 or an IPv6 address; the last stands in brackets in the result.
        port: from 1 to 65535.

    Raises:
        ConfigError: `host` is none of these.
    """
    try:
        is_ipv6 = ipaddress.ip_address(host).version == 6
    except ValueError as error:
        is_ipv6 = False
        if not _HOST_NAME.fullmatch(host):
            raise ConfigError(
                f"--link.host {host!r} is neither the name of a host nor an address; give one without scheme, "
                "brackets and port, such as 127.0.0.1, ::1 or lab-pc"
            ) from error
    return f"{scheme}://[{host}]:{port}" if is_ipv6 else f"{scheme}://{host}:{port}"
