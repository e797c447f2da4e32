"""Output that every terminal can print, and the exit status of every ending of a command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from robotkit.errors import ConfigurationError, RobotkitError

EXIT_STATUSES = "0 done, 1 a device or a check failed, 2 the request was wrong, 130 interrupted"


def make_output_printable() -> None:
    """Let stdout and stderr replace what their encoding does not have, so that no character ends a program.

    A terminal in the C or a Latin-1 locale, a pipe and a log file then show a question mark in its place.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def exit_status(run: Callable[[], int]) -> int:
    """Run a command and return its exit status.

    An error of robotkit's own tree becomes one sentence on stderr: status 2 when the request was wrong (nothing was
    touched), else 1; so does an error of the system, such as a full disk. A reader of the output that went away
    (`| head`) ends the command without a word.

    Args:
        run: the command; returns its own status.
    """
    make_output_printable()
    try:
        status = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except RobotkitError as error:
        print("error:", "; ".join((error.message, *getattr(error, "__notes__", ()))), file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return status
