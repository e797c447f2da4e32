"""Any workcell behind HTTP and websockets."""

from servers.app import create_app
from servers.settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]
