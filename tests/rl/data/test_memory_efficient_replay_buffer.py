"""Laws of the frame-sharing buffer (S10, H1, LR4): each transition comes back with its own images."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.frames import FrameEncoding
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.n_step import NStep
from rl.data.schema import Field
from rl.errors import CheckpointError, ConfigError, DataError, EmptyBuffer, SchemaMismatch
from rl.utils.tree import stack as stack_transitions
from tests.rl.data.transitions import ACTIONS, assert_same, row


def space(stack):
    return gym.spaces.Dict(
        pix=gym.spaces.Box(0, 255, (stack, 2, 2, 1), np.uint8),
        wrist=gym.spaces.Box(0, 255, (stack, 1, 1, 3), np.uint8),
        state=gym.spaces.Box(-np.inf, np.inf, (stack, 2), np.float32),
    )


def make(stack, capacity=12, seed=0, **options):
    return MemoryEfficientReplayBuffer(space(stack), ACTIONS, capacity, ("pix", "wrist"), seed=seed, **options)


def episode(stack, length, start, colours=251, flagged=True):
    """Whole transitions of one episode; few colours make frames that look alike."""
    frames = [start + step for step in range(length + 1)]
    history = [frames[0]] * (stack - 1) + frames
    return [
        {
            "observations": observe(history[step : step + stack], colours),
            "next_observations": observe(history[step + 1 : step + 1 + stack], colours),
            "actions": np.full(2, start + step, np.float32),
            "rewards": np.float32(start + step),
            "masks": np.float32(1),
            "dones": np.float32(flagged and step == length - 1),
        }
        for step in range(length)
    ]


def observe(numbers, colours):
    seen = np.array(numbers)
    return {
        "pix": np.broadcast_to((seen % colours)[:, None, None, None], (len(seen), 2, 2, 1)).astype(np.uint8),
        "wrist": np.broadcast_to((seen * 7 % colours)[:, None, None, None], (len(seen), 1, 1, 3)).astype(np.uint8),
        "state": np.stack([seen, -seen], axis=1).astype(np.float32),
    }


def contents(buffer, **options):
    return buffer.sample(len(buffer), indices=np.arange(len(buffer)), **options)


@settings(deadline=None, max_examples=60)
@given(
    stack=st.integers(1, 3),
    capacity=st.integers(1, 20),
    spare=st.integers(0, 30),
    colours=st.sampled_from([1, 2, 3, 251]),
    lengths=st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=10),
    drops=st.sets(st.integers(0, 60), max_size=25),
    interleave=st.booleans(),
)
def test_every_transition_keeps_its_own_images(stack, capacity, spare, colours, lengths, drops, interleave):
    """Wrap-around, unflagged ends, drops, bursts and two interleaved actors, held against a plain list."""
    buffer = make(stack, capacity, frame_capacity=2 * stack + 2 + spare)
    episodes, start = [], 0
    for length, flagged in lengths:
        episodes.append(episode(stack, length, start, colours, flagged))
        start += length + 3
    if interleave and len(episodes) >= 2:
        pairs = zip(episodes[0], episodes[1], strict=False)
        episodes[:2] = [[transition for pair in pairs for transition in pair]]
    stream = [transition for transitions in episodes for transition in transitions]
    stream = [transition for index, transition in enumerate(stream) if index not in drops]
    for count, transition in enumerate(stream, start=1):
        buffer.insert(transition)
        assert 1 <= len(buffer) <= min(count, capacity)
    if stream:
        expected = stack_transitions(stream[-len(buffer) :])
        assert_same(contents(buffer), expected)
        packed = contents(buffer, pack_obs_and_next_obs=True)
        assert "pix" not in packed["next_observations"]
        np.testing.assert_array_equal(packed["observations"]["pix"][:, :-1], expected["observations"]["pix"])
        np.testing.assert_array_equal(packed["observations"]["pix"][:, 1:], expected["next_observations"]["pix"])


@pytest.mark.parametrize("stack", [1, 2, 3])
def test_every_frame_of_an_episode_is_stored_once(stack):
    buffer = make(stack, capacity=100)
    for number in range(4):
        buffer.extend(stack_transitions(episode(stack, 20, 30 * number)))
        assert buffer.frames_written == 21 * (number + 1)
    assert len(buffer) == 80


@pytest.mark.parametrize("stack", [1, 3])
def test_returns_over_several_steps_and_actors_in_turn_cost_no_images(stack):
    """A next observation n steps later is the observation of a transition to come."""
    buffer = make(stack, capacity=300)
    streams = [NStep(5, 0.9), NStep(5, 0.9)]
    one, two = episode(stack, 40, 0), episode(stack, 40, 100)
    for index in range(0, 40, 2):
        for stream, transitions in zip(streams, (one, two), strict=True):
            buffer.extend(stream.push(stack_transitions(transitions[index : index + 2])))
    assert buffer.frames_written == 2 * 41
    assert len(buffer) == 80


def test_what_is_kept_instead_of_images_is_computed_once_for_each_and_sampled():
    calls = []

    def encode(images, users):
        calls.append(len(images["pix"]))
        found = images["pix"].mean((1, 2)).astype(np.float16) + images["wrist"][:, 0, 0, :1]
        return {"pix_map": found[:, None]}

    encoding = FrameEncoding({"pix_map": Field((1,), np.dtype(np.float16))}, encode)
    buffer, plain = make(2, capacity=50, encoding=encoding), make(2, capacity=50)
    for number in range(3):
        transitions = stack_transitions(episode(2, 10, 20 * number))
        buffer.extend(transitions)
        plain.extend(transitions)
    assert calls == [11, 11, 11]
    images, maps = contents(plain), contents(buffer)
    for when in ("observations", "next_observations"):
        assert maps[when].keys() == {"pix_map", "state"}
        pix, wrist = images[when]["pix"], images[when]["wrist"]
        expected = pix.mean((2, 3)).astype(np.float16) + wrist[:, :, 0, 0, :1]
        np.testing.assert_array_equal(maps[when]["pix_map"], expected)


SHIFTED = ("pix_map", "wrist_map")


def shifting(variants=4):
    """Encodings in which the first user, the variant and the frame can be read."""

    def encode(images, users):
        frames = np.broadcast_to(images["pix"][:, :1, 0, 0].astype(np.float32), (len(users), variants))
        codes = np.stack([users * 10 + variant for variant in range(variants)], axis=1)
        return {name: np.stack([codes, frames], axis=-1) for name in SHIFTED}

    return FrameEncoding({name: Field((2,), np.dtype(np.float32)) for name in SHIFTED}, encode, variants)


def test_a_sample_takes_one_variant_for_a_stack_and_others_for_the_other_camera_and_the_next_observation():
    buffer = make(3, capacity=50, encoding=shifting())
    buffer.extend(stack_transitions(episode(3, 40, 0)))
    batch = buffer.sample(400)
    moments = [batch[when] for when in ("observations", "next_observations")]
    drawn = [moment[name][..., 0] % 10 for moment in moments for name in SHIFTED]
    for found in drawn:
        assert found.shape == (400, 3)
        assert (found == found[:, :1]).all()
        assert set(found[:, 0]) == {0, 1, 2, 3}
    assert len({found.tobytes() for found in drawn}) == 4
    # Frame n + 1 is the newest of what follows transition n, which is the first that needs it.
    newest = batch["next_observations"]["pix_map"][:, -1]
    np.testing.assert_array_equal(newest[:, 1], batch["rewards"] + 1)
    np.testing.assert_array_equal(newest[:, 0] // 10, batch["rewards"])


def test_overwritten_frames_leave_no_variant_behind():
    buffer = make(1, capacity=8, encoding=shifting())
    for start in range(0, 100, 10):
        buffer.extend(stack_transitions(episode(1, 5, start)))
    batch = buffer.sample(300)
    assert batch["rewards"].min() >= 80
    for when, step in (("observations", 0), ("next_observations", 1)):
        np.testing.assert_array_equal(batch[when]["pix_map"][:, 0, 1], batch["rewards"] + step)


def test_the_draws_of_variants_survive_a_restart_and_cost_other_buffers_no_draw():
    def filled(**options):
        made = make(1, capacity=50, seed=4, **options)
        made.extend(stack_transitions(episode(1, 30, 0)))
        return made

    straight, resumed = (filled(encoding=shifting()) for _ in range(2))
    straight.sample(7)
    resumed.load_state_dict(straight.state_dict())
    assert_same(straight.sample(20), resumed.sample(20))
    plain, single = filled(), filled(encoding=shifting(1))
    for _ in range(2):
        np.testing.assert_array_equal(plain.sample(9)["rewards"], single.sample(9)["rewards"])


def test_the_memory_of_a_frame_is_known():
    assert shifting(4).frame_bytes == 4 * 2 * 2 * 4


def test_a_caller_may_draw_the_next_frame_into_the_memory_of_the_last_one():
    buffer, reused = make(1), observe([1], 251)
    buffer.insert(episode(1, 1, 0)[0] | {"next_observations": reused})
    for name, image in observe([5], 251).items():
        reused[name][:] = image
    buffer.insert(episode(1, 1, 5)[0] | {"observations": reused})
    seen = contents(buffer)
    assert seen["observations"]["pix"][:, 0, 0, 0, 0].tolist() == [0, 5]
    assert seen["next_observations"]["pix"][:, 0, 0, 0, 0].tolist() == [1, 6]


def test_default_room_for_frames_serves_episodes_of_ten_steps():
    buffer = make(1, capacity=200)
    for number in range(40):
        buffer.extend(stack_transitions(episode(1, 10, 11 * number)))
    assert len(buffer) == 200


def test_every_transition_is_drawn_equally_often():
    buffer = make(2, capacity=10)
    for number in range(4):
        buffer.extend(stack_transitions(episode(2, 5, 10 * number)))
    kept = contents(buffer)["rewards"].astype(int)
    counts = np.bincount(buffer.sample(50_000)["rewards"].astype(int), minlength=40)
    expected = 50_000 / len(kept)
    assert counts[kept].sum() == 50_000
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 33.7  # chi-squared, at most 9 degrees, p = 1e-4


def test_resume_continues_with_the_same_draws():
    buffer, resumed = make(2), make(2, seed=9)
    transitions = episode(2, 10, 0)
    buffer.extend(stack_transitions(transitions))
    state = buffer.state_dict()
    with pytest.raises(CheckpointError):
        resumed.load_state_dict(state)
    for transition in transitions:
        resumed.insert(transition)
    resumed.load_state_dict(state)
    assert_same(resumed.sample(32), buffer.sample(32))


def test_stacks_that_do_not_overlap_are_stored_but_not_packed():
    buffer = make(2)
    transition = row(stack_transitions(episode(2, 1, 0)), 0)
    transition["next_observations"] = observe([40, 41], 251)
    buffer.insert(transition)
    assert_same(row(contents(buffer), 0), transition)
    with pytest.raises(DataError, match="without packing"):
        contents(buffer, pack_obs_and_next_obs=True)


def test_wrong_requests_are_refused():
    buffer = make(2)
    with pytest.raises(EmptyBuffer):
        buffer.sample(1)
    broken = stack_transitions(episode(2, 3, 0))
    del broken["observations"]["wrist"]
    with pytest.raises(SchemaMismatch, match="observations/wrist"):
        buffer.extend(broken)
    assert len(buffer) == buffer.frames_written == 0
    buffer.extend(stack_transitions(episode(2, 3, 0)))
    for indices in ([3], [-1], [0, 1]):
        with pytest.raises(DataError, match="indices"):
            buffer.sample(1, indices=np.array(indices))
    with pytest.raises(ConfigError, match="stack length"):
        MemoryEfficientReplayBuffer(space(2), ACTIONS, 5, ("state",), seed=0)
    with pytest.raises(ConfigError, match="too small"):
        make(3, capacity=5, frame_capacity=5)
