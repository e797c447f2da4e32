#!/usr/bin/env bash
# 20 demonstrations of the scripted expert, for --demo_path; further flags are handed on: ./record_demo.sh --seed 1
cd "$(dirname "$0")/../.." || exit 1
mkdir -p runs || exit 1
exec "${PYTHON:-python}" -m rl \
    record demos \
    --env envs:PandaPickCubeVision-v0 \
    --sees-images \
    --expert envs.experts.tracker:pick_cube \
    --episodes 20 \
    --out runs/pick_cube_20_demos.sqlite \
    "$@"
