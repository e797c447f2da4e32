#!/usr/bin/env bash
# The learner of the PCB insertion run, with SERL's settings; further flags are handed on: ./run_learner.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_pcb_insert_drq.async_drq_randomized \
    --learner \
    --env FrankaPCBInsert-Vision-v0 \
    --exp_name serl_dev_drq_rlpd20demos_pcb_insert \
    --seed 0 \
    --random_steps 0 \
    --training_starts 200 \
    --critic_actor_ratio 4 \
    --batch_size 256 \
    --demo_path runs/pcb_insert_20_demos.sqlite \
    --checkpoint_period 1000 \
    --debug \
    "$@"
