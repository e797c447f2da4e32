"""Laws of the feature maps that a buffer keeps of shifted images: the network made them, and updates are the same."""

from __future__ import annotations

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch

from rl.agents.continuous.augmentation import Crops
from rl.agents.continuous.cached_features import USERS_ALIKE, frame_encoding, kept_corners
from rl.agents.continuous.drq import DrqConfig
from rl.common.encoding import MAP
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.schema import Field
from rl.errors import ConfigError
from rl.vision.data_augmentations import random_crop
from tests.rl.agents.pixels import ACTION, CAMERAS, FRAMES, FROZEN, SIDE, SMALL, STATE, make_drq, parameters

SHIFTS, PADDING, SEED = 4, 3, 11
IMAGES = {key: Field((SIDE, SIDE, 3), np.dtype(np.uint8)) for key in CAMERAS}
KEEPING = dataclasses.replace(
    SMALL,
    encoder=dataclasses.replace(SMALL.encoder, encoder_type="resnet-pretrained"),
    cached_features="float32",
    cached_shifts=SHIFTS,
    crop_padding=PADDING,
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def frames(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {key: random.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8) for key in CAMERAS}


def maps_of(agent, images: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = agent.frozen_maps({key: image[:, None] for key, image in images.items()})
    return {key: found[key + MAP] for key in CAMERAS}


def test_the_first_map_of_a_frame_is_that_of_its_image_and_the_others_are_those_of_its_crops():
    agent, seen, users = make_drq(FROZEN, config=KEEPING), frames(5), np.array([0, 1, 40, 41, 900])
    encoding = frame_encoding(agent, IMAGES, SEED)
    kept = encoding.encode(seen, users)
    corners = kept_corners(agent, users, SEED)
    assert encoding.variants == SHIFTS
    assert encoding.frame_bytes == sum(array[0].nbytes for array in kept.values())
    plain = maps_of(agent, {key: torch.from_numpy(seen[key]) for key in CAMERAS})
    for index, key in enumerate(CAMERAS):
        assert kept[key + MAP].shape[:2] == (5, SHIFTS)
        torch.testing.assert_close(torch.from_numpy(kept[key + MAP][:, 0]), plain[key], rtol=1e-5, atol=1e-5)
        for shift in range(1, SHIFTS):
            corner = torch.from_numpy(corners[:, index, shift])
            shifted = random_crop(torch.from_numpy(seen[key]), padding=PADDING, crop_from=corner)
            expected = maps_of(agent, dict.fromkeys(CAMERAS, shifted))[key]
            torch.testing.assert_close(torch.from_numpy(kept[key + MAP][:, shift]), expected, rtol=1e-5, atol=1e-5)


def test_shifts_are_uniform_alike_for_neighbours_and_drawn_apart_for_cameras_and_seeds():
    agent = make_drq(FROZEN, config=KEEPING)
    corners = kept_corners(agent, np.arange(400 * USERS_ALIKE), SEED)
    assert corners.shape == (400 * USERS_ALIKE, len(CAMERAS), SHIFTS, 2)
    assert (corners[:, :, 0] == PADDING).all()
    runs = corners.reshape(400, USERS_ALIKE, *corners.shape[1:])
    assert (runs == runs[:, :1]).all()
    drawn = runs[:, 0, :, 1:]
    shares = np.bincount(drawn.ravel(), minlength=2 * PADDING + 1) / drawn.size
    # 4800 draws: six standard deviations of a share are 0.03.
    np.testing.assert_allclose(shares, 1 / (2 * PADDING + 1), atol=0.03)
    assert (drawn[:, 0] != drawn[:, 1]).any()
    assert (drawn[1:] != drawn[:-1]).any()
    np.testing.assert_array_equal(kept_corners(agent, np.array([35]), SEED)[0], runs[1, 3])
    assert (kept_corners(agent, np.array([35]), SEED + 1)[0, :, 1:] != drawn[1]).any()


def filled(encoding) -> MemoryEfficientReplayBuffer:
    """A buffer with twelve transitions of one episode, in stacks of `FRAMES`."""
    spaces = {key: gym.spaces.Box(0, 255, (FRAMES, SIDE, SIDE, 3), np.uint8) for key in CAMERAS}
    space = gym.spaces.Dict({**spaces, "state": gym.spaces.Box(-np.inf, np.inf, (FRAMES, STATE), np.float32)})
    action = gym.spaces.Box(-1.0, 1.0, (ACTION,), np.float32)
    buffer = MemoryEfficientReplayBuffer(space, action, 20, CAMERAS, seed=3, encoding=encoding)
    seen, random = frames(12 + FRAMES, seed=5), np.random.default_rng(6)

    def moment(step: int) -> dict[str, np.ndarray]:
        images = {key: seen[key][step : step + FRAMES] for key in CAMERAS}
        return images | {"state": np.full((FRAMES, STATE), step / 12, np.float32)}

    for step in range(12):
        numbers = {"rewards": np.float32(random.normal()), "masks": np.float32(1), "dones": np.float32(0)}
        moved = random.uniform(-0.9, 0.9, ACTION).astype(np.float32)
        buffer.insert(
            {"observations": moment(step), "next_observations": moment(step + 1), "actions": moved, **numbers}
        )
    return buffer


def as_tensors(tree):
    return {key: as_tensors(x) if isinstance(x, dict) else torch.from_numpy(x.copy()) for key, x in tree.items()}


def test_updates_with_kept_maps_are_those_with_images_that_were_shifted_alike():
    on_maps, on_images = (make_drq(FROZEN, config=KEEPING) for _ in range(2))
    rows = np.array([3, 0, 11, 7, 7, 2, 5, 9])
    kept = as_tensors(filled(frame_encoding(on_maps, IMAGES, SEED)).sample(8, indices=rows))
    seen = as_tensors(filled(None).sample(8, indices=rows))
    corners = torch.from_numpy(kept_corners(on_maps, np.zeros(1, np.int64), SEED)[0])
    found = {"observations": {}, "next_observations": {}}
    drawn = set()
    for when, crops in found.items():
        for index, key in enumerate(CAMERAS):
            newest = seen[when][key][:, -1]
            made = []
            for shift in range(SHIFTS):
                shifted = random_crop(newest, padding=PADDING, crop_from=corners[index, shift].expand(8, 2))
                made.append(maps_of(on_images, dict.fromkeys(CAMERAS, shifted))[key])
            distance = (torch.stack(made, 1) - kept[when][key + MAP][:, -1][:, None]).abs().flatten(2).amax(-1)
            assert distance.min(-1).values.max() < 1e-4
            crops[key] = corners[index, distance.argmin(-1)]
            drawn |= set(distance.argmin(-1).tolist())
    assert drawn == set(range(SHIFTS))
    noise = on_maps.draw_noise(8)
    before = parameters(on_maps.state.modules)
    one = on_maps.update_high_utd(kept, 2, noise)
    other = on_images.update_high_utd(seen, 2, noise, Crops(**found))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-3, atol=1e-4)
    after, expected = parameters(on_maps.state.modules), parameters(on_images.state.modules)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"actor", "critic"} <= {name.split(".")[0] for name in changed}
    for name in changed:
        torch.testing.assert_close(after[name], expected[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"cached_shifts": 0}, "allowed are 1"),
        ({"cached_shifts": 4}, "choose cached_features=float16"),
        ({"cached_shifts": 4, "crop_padding": 0, "cached_features": "float16"}, "crop_padding above 0"),
    ],
)
def test_shifts_that_cannot_be_kept_are_refused(settings, answer):
    with pytest.raises(ConfigError, match=answer):
        DrqConfig(encoder=KEEPING.encoder, **settings)
