"""Random generators by name, all derived from one seed."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


class Seeds:
    """Hands out independent generators: a new name never disturbs the draws of the others.

    Args:
        seed: the run's seed, at least 0.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def sequence(self, name: str) -> np.random.SeedSequence:
        """The seed sequence of this name."""
        key = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u4")
        return np.random.SeedSequence(self.seed, spawn_key=tuple(map(int, key)))

    def integer(self, name: str) -> int:
        """A seed for what wants an integer (`env.reset`, a buffer): 32 bits."""
        return int(self.sequence(name).generate_state(1)[0])

    def generator(self, name: str) -> np.random.Generator:
        """A numpy generator."""
        return np.random.default_rng(self.sequence(name))

    def torch_generator(self, name: str, device: torch.device | str = "cpu") -> torch.Generator:
        """A torch generator on a device."""
        return torch.Generator(device).manual_seed(self.integer(name))

    def seed_globals(self) -> None:
        """Seed the global generators of Python, numpy and torch, which libraries draw from."""
        random.seed(self.integer("python"))
        np.random.seed(self.integer("numpy"))
        torch.manual_seed(self.integer("torch"))
