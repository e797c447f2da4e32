"""What the actor saw, what the journal holds and what the buffers hold agree, whatever happened in between."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.data.journal import TransitionJournal
from rl.data.memory_efficient_replay_buffer import MemoryEfficientReplayBuffer
from rl.data.replay_buffer import ReplayBuffer
from rl.data.schema import FIELDS
from rl.training.replay_loader import ReplayLoader
from rl.utils.tree import leaves, stack
from tests.rl.data.transitions import ACTIONS, assert_same, row

STACK = 2
OBSERVATIONS = gym.spaces.Dict({
    "front": gym.spaces.Box(0, 255, (STACK, 2, 2, 3), np.uint8),
    "state": gym.spaces.Box(-np.inf, np.inf, (STACK, 1), np.float32),
})  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "step", "step", "terminated", "truncated", "dropped", "restart"]),
        st.booleans(),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=60,
)


@dataclass
class Actor:
    """Lives through a list of events, and sends what it sees in blocks; `sent` is what was acknowledged."""

    journal: TransitionJournal
    sent: list[dict[str, Any]] = field(default_factory=list)
    attempt: int = 0
    sequence: int = 0
    moment: int = 0

    def live(self, events: list[tuple[str, bool, int]]) -> None:
        block: list[dict[str, Any]] = []
        follows_gap = False
        frames = self.start()
        for event, is_intervention, block_size in events:
            if event in ("restart", "dropped"):
                self.send(block, follows_gap)
                block = []
                if event == "restart":
                    self.attempt, self.sequence, follows_gap = self.attempt + 1, 0, False
                    frames = self.start()
                else:
                    frames, follows_gap = self.after(frames), True
                continue
            later = self.after(frames)
            ended = event != "step"
            block.append({
                "observations": self.see(frames),
                "next_observations": self.see(later),
                "actions": np.full(2, self.moment % 7 / 7, np.float32),
                "rewards": np.float32(self.moment),
                "masks": np.float32(event != "terminated"),
                "dones": np.float32(ended),
                "is_intervention": np.float32(is_intervention),
            })  # fmt: skip
            frames = self.start() if ended else later
            if len(block) >= block_size:
                self.send(block, follows_gap)
                block, follows_gap = [], False
        self.send(block, follows_gap)

    def start(self) -> list[int]:
        self.moment += 1
        return [self.moment] * STACK

    def after(self, frames: list[int]) -> list[int]:
        self.moment += 1
        return [*frames[1:], self.moment]

    def see(self, frames: list[int]) -> dict[str, np.ndarray]:
        pixels = [np.arange(12).reshape(2, 2, 3) + 3 * moment for moment in frames]
        return {"front": np.array(pixels, np.uint8), "state": np.array(frames, np.float32)[:, None]}

    def send(self, block: list[dict[str, Any]], follows_gap: bool) -> None:
        if block:
            info = {"follows_gap": True} if follows_gap else None
            self.journal.append(f"arm/{self.attempt}", self.sequence, stack(block), info)
            self.sequence += len(block)
            self.sent += block


def buffers(kind: str, count: int) -> tuple[Any, Any]:
    if kind == "plain":
        made = [ReplayBuffer(OBSERVATIONS, ACTIONS, 4 * count + 8, seed=0) for _ in range(2)]
    else:
        made = [MemoryEfficientReplayBuffer(OBSERVATIONS, ACTIONS, 4 * count + 8, ("front",), seed=0) for _ in range(2)]
    return made[0], made[1]


def assert_holds(buffer: Any, transitions: list[dict[str, Any]]) -> None:
    """In order, and nothing else."""
    assert len(buffer) == len(transitions)
    if transitions:
        expected = stack([{name: one[name] for name in FIELDS} for one in transitions])
        got = buffer.sample(len(transitions), indices=np.arange(len(transitions)))
        assert_same({name: got[name] for name in expected}, expected)


@given(events=EVENTS, kind=st.sampled_from(["plain", "frames once"]))
@settings(max_examples=60, deadline=None)
def test_buffers_hold_what_the_actor_saw(events, kind):
    with tempfile.TemporaryDirectory() as folder, TransitionJournal(Path(folder) / "journal") as journal:
        actor = Actor(journal)
        replay, demos = buffers(kind, len(events))
        loader = ReplayLoader(journal, replay, 1, 0.9, interventions=demos)
        half = len(events) // 2
        actor.live(events[:half])
        loader.poll()
        actor.live(events[half:])
        assert loader.poll() == len(actor.sent)
        by_human = [one for one in actor.sent if one["is_intervention"]]
        assert loader.interventions == len(by_human)
        assert_holds(replay, actor.sent)
        assert_holds(demos, by_human)

        after_restart, demos_again = buffers(kind, len(events))
        ReplayLoader(journal, after_restart, 1, 0.9, interventions=demos_again).poll()
        assert_holds(after_restart, actor.sent)
        assert_holds(demos_again, by_human)


@given(events=EVENTS, n_step=st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_n_steps_never_cross_an_end_a_gap_or_a_restart(events, n_step):
    """Rewards are moments, which only grow by one within a stretch: so the sum tells which steps it is made of."""
    with tempfile.TemporaryDirectory() as folder, TransitionJournal(Path(folder) / "journal") as journal:
        actor = Actor(journal)
        actor.live(events)
        replay, demos = buffers("plain", len(events))
        loader = ReplayLoader(journal, replay, n_step, 1.0, interventions=demos)
        loader.poll()
        held = replay.sample(len(replay), indices=np.arange(len(replay))) if len(replay) else None
    for index in range(len(replay)):
        one = row(held, index)
        first = one["observations"]["state"][-1, 0]
        last = one["next_observations"]["state"][-1, 0]
        assert 1 <= last - first <= n_step
        assert one["rewards"] == sum(range(int(first) + 1, int(last) + 1))
    starts = {dict(leaves(one))["observations", "state"][-1, 0] for one in actor.sent if one["is_intervention"]}
    held_by_human = demos.sample(len(demos), indices=np.arange(len(demos))) if len(demos) else None
    for index in range(len(demos)):
        assert row(held_by_human, index)["observations"]["state"][-1, 0] in starts
