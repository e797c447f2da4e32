"""A learner that is stopped and resumed sees exactly the batches that it would have seen without the stop."""

import numpy as np
import torch

from rl.data.journal import TransitionJournal
from rl.data.mixture import MixedBatches
from rl.data.n_step import NStep
from rl.data.prefetch import Prefetch
from rl.data.replay_buffer import ReplayBuffer
from rl.utils.checkpoint import Checkpoints
from rl.utils.seeds import Seeds
from tests.rl.data.transitions import ACTIONS, OBSERVATIONS, numbered


class DataPath:
    """What a learner builds: n-step per actor, a ring smaller than the journal, half demonstrations."""

    def __init__(self, path, seed):
        seeds = Seeds(seed)
        self.journal = TransitionJournal(path)
        self.online = ReplayBuffer(OBSERVATIONS, ACTIONS, 60, seed=seeds.integer("online"))
        self.demos = ReplayBuffer(OBSERVATIONS, ACTIONS, 20, seed=seeds.integer("demos"))
        self.demos.extend(numbered(1000, 20))
        self.n_step = {}
        self.batches = MixedBatches([(self.online, 0.5), (self.demos, 0.5)], 16)
        for block in self.journal.blocks():
            self._store(block.actor_id, block.transitions)

    def receive(self, actor_id, start, count):
        batch = numbered(start, count)
        batch["dones"][count // 2] = 1
        self.journal.append(actor_id, self.journal.last_sequence(actor_id) + 1, batch)
        self._store(actor_id, batch)

    def _store(self, actor_id, batch):
        self.online.extend(self.n_step.setdefault(actor_id, NStep(3, 0.9)).push(batch))


def test_the_batches_after_a_resume_are_those_without_an_interruption(tmp_path):
    first = DataPath(tmp_path / "journal", seed=1)
    for number in range(30):
        first.receive(f"actor{number % 2}", 100 * number, 7)
    with Prefetch(first.batches) as batches:
        for _ in range(5):
            next(batches)
        Checkpoints(tmp_path / "checkpoints").save(5, {"batches": batches.state_dict()})
        expected = [next(batches) for _ in range(6)]
    first.journal.close()

    second = DataPath(tmp_path / "journal", seed=2)
    step, state = Checkpoints(tmp_path / "checkpoints").load()
    second.batches.load_state_dict(state["batches"])
    with Prefetch(second.batches) as batches:
        for batch in expected:
            resumed = next(batches)
            for name, tensor in batch.items():
                torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0)
    assert step == 5
    assert len(np.unique(torch.cat([batch["rewards"] for batch in expected]))) > 20
    second.journal.close()
