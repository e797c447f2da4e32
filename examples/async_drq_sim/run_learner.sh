#!/usr/bin/env bash
# The learner of the pick-cube run from images, with SERL's settings; further flags are handed on: ./run_learner.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_drq_sim.async_drq_sim \
    --learner \
    --env PandaPickCubeVision-v0 \
    --exp_name serl_dev_drq_sim_test \
    --seed 0 \
    --random_steps 1000 \
    --training_starts 1000 \
    --critic_actor_ratio 4 \
    --batch_size 256 \
    --demo_path runs/pick_cube_20_demos.sqlite \
    --debug \
    "$@"
