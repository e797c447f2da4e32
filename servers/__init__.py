"""Any workcell behind HTTP and websockets. The web framework is imported when one of the names is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers.app import create_app
    from servers.settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]

_MODULES = {"ServerSettings": "servers.settings", "create_app": "servers.app"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
