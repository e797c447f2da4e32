"""`program_name`: the name of this program on a server's page and in its log."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from pathlib import PurePath
from urllib.parse import quote


def program_name() -> str:
    """User, machine and program, such as "anna@lab3 train.py"; percent-encoded, as a header needs it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no variable and no entry in the user database, as in a container
        user = f"uid {os.getuid()}"
    path = PurePath(sys.argv[0] if sys.argv else "")
    program = (path.parent if path.name == "__main__.py" else path).name or "python"
    return quote(f"{user}@{socket.gethostname()} {program}", safe=" @")
