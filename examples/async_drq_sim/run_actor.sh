#!/usr/bin/env bash
# The actor of the pick-cube run from images, with SERL's settings; further flags are handed on: ./run_actor.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_drq_sim.async_drq_sim \
    --actor \
    --env PandaPickCubeVision-v0 \
    --exp_name serl_dev_drq_sim_test \
    --seed 0 \
    --random_steps 1000 \
    --training_starts 1000 \
    --critic_actor_ratio 4 \
    --batch_size 256 \
    --debug \
    "$@"
