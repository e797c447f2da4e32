"""Makes transitions whose numbers tell where they came from."""

import gymnasium as gym
import numpy as np

OBSERVATIONS = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = gym.spaces.Box(-1, 1, (2,), np.float32)
IMAGES = gym.spaces.Dict({
    "state": gym.spaces.Box(-np.inf, np.inf, (2,), np.float64),
    "pix": gym.spaces.Box(0, 255, (2, 2, 3), np.uint8),
})  # fmt: skip


def numbered(start: int, count: int) -> dict[str, np.ndarray]:
    """Transitions start..start+count-1; the reward of transition k is k."""
    k = np.arange(start, start + count, dtype=np.float32)
    return {
        "observations": np.stack([k, k + 0.25, -k], axis=1),
        "next_observations": np.stack([k + 1, k + 1.25, -k - 1], axis=1),
        "actions": np.stack([k / 1024, -k / 1024], axis=1),
        "rewards": k,
        "masks": np.ones(count, np.float32),
        "dones": np.zeros(count, np.float32),
    }


def numbered_images(start: int, count: int) -> dict:
    """As `numbered`, with nested observations and an image."""
    flat = numbered(start, count)
    pix = (np.arange(start, start + count)[:, None, None, None] + np.arange(12).reshape(2, 2, 3)).astype(np.uint8)
    flat["observations"] = {"state": flat["observations"][:, :2], "pix": pix}
    flat["next_observations"] = {"state": flat["next_observations"][:, :2], "pix": pix + np.uint8(1)}
    return flat


def row(batch: dict, index: int) -> dict:
    """One transition of a batch, without the leading axis."""
    return {name: row(value, index) if isinstance(value, dict) else value[index] for name, value in batch.items()}


def assert_same(left: dict, right: dict) -> None:
    """Two nested batches hold the same numbers."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        if isinstance(value, dict):
            assert_same(value, right[name])
        else:
            np.testing.assert_array_equal(value, right[name], err_msg=name)
