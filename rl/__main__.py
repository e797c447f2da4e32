"""`python -m rl`, and the console script `robotkit-train`."""

import signal


def main() -> None:
    """Run the command that the command line names."""
    # While packages are loaded, Ctrl+C ends the process at once and without a traceback: there is nothing to save yet.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rl.cli import main as run

    run()


if __name__ == "__main__":
    main()
