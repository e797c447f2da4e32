"""`python -m rl`, and the console script `robotkit-train`."""

from __future__ import annotations

import sys

_NEEDED = ("gymnasium", "imageio", "matplotlib", "msgpack", "safetensors", "tensorboard", "torch", "torchvision")


def main() -> None:
    """Run a command; where the learner's packages are not installed, say how to install them."""
    try:
        from rl.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        print(f"error: the learner needs the package {error.name!r}, which is not installed. Try: pip install "
              "'robotkit[rl]'", file=sys.stderr)  # fmt: skip
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
