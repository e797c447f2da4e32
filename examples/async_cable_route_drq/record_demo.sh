#!/usr/bin/env bash
# 20 demonstrations by the scripted expert, or by a person: ./record_demo.sh --cell URL --human spacemouse
cd "$(dirname "$0")/../.." || exit 1
mkdir -p runs || exit 1
exec "${PYTHON:-python}" -m rl \
    record demos \
    --env examples.serl_envs:serl/FrankaCableRoute-Vision-v0 \
    --sees-images \
    --human expert \
    --episodes 20 \
    --out runs/cable_route_20_demos.sqlite \
    "$@"
