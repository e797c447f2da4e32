"""`tls_context`: how a client checks the certificate of a robot server."""

from __future__ import annotations

import os
import ssl

from robotkit.errors import InvalidConfiguration

CA_VARIABLE = "ROBOTKIT_TLS_CA"


def tls_context(scheme: str, ca_file: str | None = None) -> ssl.SSLContext | None:
    """The TLS context for a server at an address of this scheme; None for one without TLS.

    Args:
        scheme: "https" or "http".
        ca_file: certificates to trust instead of the system's, such as the server's own; None: as ROBOTKIT_TLS_CA says.

    Raises:
        InvalidConfiguration: the file cannot be read, or holds no certificate.
    """
    if scheme != "https":
        return None
    ca_file = ca_file or os.environ.get(CA_VARIABLE) or None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl's own errors are among them
        raise InvalidConfiguration(
            f"cannot read certificates from {ca_file!r} (ca_file or {CA_VARIABLE}): {error}; name a PEM file"
        ) from error
