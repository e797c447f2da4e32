"""`require_spoken`: refuses the commands of a client whose protocol version this server does not speak."""

from __future__ import annotations

from robotkit.errors import ProtocolError
from robotkit.schema.wire import PROTOCOL_NEWEST, PROTOCOL_OLDEST


def require_spoken(version: int | None) -> None:
    """Refuse every request that is neither a read nor a stop nor the end of control.

    Args:
        version: that of the client; None: it does not say (curl, SERL's clients), and is taken as it is.

    Raises:
        ProtocolError: this server does not speak it.
    """
    if version is not None and not PROTOCOL_OLDEST <= version <= PROTOCOL_NEWEST:
        raise ProtocolError(
            f"this client speaks version {version} of the protocol, this server {PROTOCOL_OLDEST} to "
            f"{PROTOCOL_NEWEST}: it may read and stop, but not command. Install the same robotkit on both sides"
        )
