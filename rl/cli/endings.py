"""How a command ends: its exit status, and the one sentence that an error of the user's making becomes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from rl.errors import RlError
from rl.utils.subprocesses import ERROR_PREFIX, USER_ERROR, ChildFailed

EXIT_STATUSES = "0 done, 1 the system failed, 2 the request was wrong or cannot be met, 130 interrupted"

_NEEDED = frozenset({
    "gymnasium", "imageio", "matplotlib", "msgpack", "numpy", "safetensors", "tensorboard", "torch", "torchvision",
})  # fmt: skip


def exit_status(run: Callable[[], None]) -> int:
    """Run a command and return its exit status.

    An error of `rl.errors` becomes one sentence on stderr and status 2; one of the system, such as a full disk, becomes
    a sentence and status 1. A reader of the output that went away (`| head`) ends the command without a word.
    """
    _make_output_printable()
    try:
        run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except (RlError, ChildFailed) as error:
        return _say(error, USER_ERROR)
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        return _say(
            f"the learner needs the package {error.name!r}, which is not installed. Try: pip install 'robotkit[rl]'",
            USER_ERROR,
        )
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(error, 1)
    return 0


def _say(what: object, status: int) -> int:
    print(f"{ERROR_PREFIX}{what}", file=sys.stderr)  # noqa: T201
    return status


def _make_output_printable() -> None:
    """Let stdout and stderr replace what their encoding does not have, so that no character ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
