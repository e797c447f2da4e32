#!/usr/bin/env bash
# The learner of the pick-cube run, with SERL's settings; further flags are handed on: ./run_learner.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_sac_state_sim.async_sac_state_sim \
    --learner \
    --env PandaPickCube-v0 \
    --exp_name serl_dev_sim_test \
    --seed 0 \
    --random_steps 1000 \
    --training_starts 1000 \
    --critic_actor_ratio 8 \
    --batch_size 256 \
    --debug \
    "$@"
