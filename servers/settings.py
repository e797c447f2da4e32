"""`ServerSettings`: the address of a server, its tokens, and the rate at which it streams."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from robotkit.errors import InvalidConfiguration
from servers.access import Scope

_SCOPES = {
    "token": Scope.OPERATE,
    "read_token": Scope.READ,
    "command_token": Scope.COMMAND,
    "operate_token": Scope.OPERATE,
}
GripperUnit = Literal["robotiq", "franka-hand", "hil-serl"]
"""How SERL's routes give a gripper's position: 0 open to 255 closed, metres, or 0 closed to 1 open."""
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class ServerSettings:
    """Checked on construction.

    Raises:
        InvalidConfiguration: an address beyond this machine without a token, a token that no client can send, a
            certificate that does not fit its key, or a number out of range.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    """Port to listen on; 0 lets the system choose."""
    token: str | None = None
    """Bearer token that allows everything; without any token everybody may do everything, on loopback only."""
    read_token: str | None = None
    """Token that allows to read and to stop."""
    command_token: str | None = None
    """Token that also allows to command, and to recover from what no other client's stop has caused."""
    operate_token: str | None = None
    """Token that allows everything, for those who are not to share `token`."""
    stream_rate_max_hz: float = 500.0
    """Highest rate of states on `/v1/stream`."""
    lease_timeout_s: float = 1.0
    """Time without a command after which another client may take control."""

    tls_cert: Path | None = None
    """PEM file of the server's certificate; None serves without TLS."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    audit: Path | None = None
    """File to which the audit log is appended; None keeps none."""
    serl_gripper: GripperUnit = "robotiq"
    """Unit in which SERL's routes speak of the gripper."""

    def __post_init__(self) -> None:
        given = self._given_tokens()
        for name, token in given.items():
            _check_token(name.replace("_", " "), token)
        if len(set(given.values())) < len(given):
            raise InvalidConfiguration(f"{', '.join(given)} must differ: a token says what its holder may do")
        if not self.is_loopback and not given:
            raise InvalidConfiguration(
                f"refusing to listen on {self.host} without a token: whoever reaches it could move the robot. "
                "Set ROBOTKIT_TOKEN (or --token), or use --host 127.0.0.1"
            )
        _check_certificate(self.tls_cert, self.tls_key)
        if not 0 <= self.port <= 65535:
            raise InvalidConfiguration(f"port must be between 0 and 65535, got {self.port}")
        if self.serl_gripper not in get_args(GripperUnit):
            units = ", ".join(get_args(GripperUnit))
            raise InvalidConfiguration(f"serl_gripper must be one of {units}, got {self.serl_gripper!r}")
        if self.stream_rate_max_hz <= 0.0 or self.lease_timeout_s <= 0.0:
            raise InvalidConfiguration("stream_rate_max_hz and lease_timeout_s must be above 0")

    @property
    def tokens(self) -> dict[str, Scope]:
        """The scope of each token."""
        return {token: _SCOPES[name] for name, token in self._given_tokens().items()}

    def _given_tokens(self) -> dict[str, str]:
        return {name: token for name in _SCOPES if (token := getattr(self, name)) is not None}

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can connect."""
        return self.host in LOOPBACK_HOSTS


def _check_token(name: str, token: str) -> None:
    """Refuse what no client can send, or what is soon guessed."""
    if len(token) < 8:
        raise InvalidConfiguration(f"the {name} must have at least 8 characters; try: openssl rand -hex 16")
    if not (token.isascii() and token.isprintable()) or token != token.strip():
        raise InvalidConfiguration(
            f"the {name} has characters that no client can send in a header: use printable ASCII characters, without "
            "blanks at its ends; try: openssl rand -hex 16"
        )


def _check_certificate(cert: Path | None, key: Path | None) -> None:
    if cert is None and key is None:
        return
    if cert is None or key is None:
        raise InvalidConfiguration("TLS needs both files: --tls-cert and --tls-key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
        raise InvalidConfiguration(f"cannot use the certificate {cert} with the key {key}: {error}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is there to type its password")
