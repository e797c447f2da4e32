#!/usr/bin/env bash
# The learner of the way backward, with SERL's settings; further flags are handed on: ./run_bw_learner.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_bin_relocation_fwbw_drq.async_drq_randomized \
    --learner \
    --fwbw bw \
    --env FrankaBinRelocation-Vision-v0 \
    --exp_name serl_dev_drq_rlpd20demos_bin_fwbw \
    --seed 0 \
    --random_steps 200 \
    --training_starts 200 \
    --critic_actor_ratio 4 \
    --batch_size 256 \
    --demo_path runs/bin_bw_20_demos.sqlite \
    --checkpoint_period 1000 \
    --debug \
    "$@"
