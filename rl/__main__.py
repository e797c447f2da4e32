"""`python -m rl`, and the console script `robotkit-train`."""

from rl.cli import main

if __name__ == "__main__":
    main()
