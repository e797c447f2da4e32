"""The client of a robot server: its devices behind the same contracts as devices in this process."""

from robotkit.remote.cell import RemoteWorkcell, remote_workcell
from robotkit.remote.session import Session
from robotkit.remote.stream import RemoteStream

__all__ = ["RemoteStream", "RemoteWorkcell", "Session", "remote_workcell"]
