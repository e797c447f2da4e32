"""`ServerSettings`: where a server listens, who may use it, how fast it streams."""

from __future__ import annotations

from dataclasses import dataclass

from robotkit.errors import InvalidConfiguration

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class ServerSettings:
    """Checked on construction.

    Raises:
        InvalidConfiguration: an address beyond this machine without a token, or a number out of range.
    """

    host: str = "127.0.0.1"
    port: int = 5000
    """0 lets the system choose."""
    token: str | None = None
    """Bearer token that every request must carry; None only on loopback."""
    stream_rate_max_hz: float = 500.0
    """Highest rate of states on `/v1/stream`."""
    lease_timeout_s: float = 1.0
    """After this long without a command another client may take control."""

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 8:
            raise InvalidConfiguration("the token must have at least 8 characters")
        if not self.is_loopback and self.token is None:
            raise InvalidConfiguration(
                f"refusing to listen on {self.host} without a token: whoever reaches it could move the robot. "
                "Set ROBOTKIT_TOKEN (or --token), or use --host 127.0.0.1"
            )
        if not 0 <= self.port <= 65535:
            raise InvalidConfiguration(f"port must be between 0 and 65535, got {self.port}")
        if self.stream_rate_max_hz <= 0.0 or self.lease_timeout_s <= 0.0:
            raise InvalidConfiguration("stream_rate_max_hz and lease_timeout_s must be above 0")

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can connect."""
        return self.host in LOOPBACK_HOSTS
