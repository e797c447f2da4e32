"""`ends_the_program`: tests for errors that end the program, and are no fault of the device whose call raised them."""

from __future__ import annotations

import threading


def ends_the_program(error: BaseException) -> bool:
    """True of what a signal handler may have raised in the main thread, wherever that was just then."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and isinstance(error, KeyboardInterrupt | SystemExit)
