#!/usr/bin/env bash
# The actor of the cable routing run, with SERL's settings; further flags are handed on: ./run_actor.sh --cell my_lab.toml
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.async_cable_route_drq.async_drq_randomized \
    --actor \
    --env FrankaCableRoute-Vision-v0 \
    --exp_name serl_dev_drq_rlpd20demos_cable_route \
    --seed 0 \
    --random_steps 0 \
    --training_starts 200 \
    --critic_actor_ratio 4 \
    --batch_size 256 \
    --debug \
    "$@"
