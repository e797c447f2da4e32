#!/usr/bin/env bash
# Clone the demonstrations of peg insertion; further flags are handed on: ./run_bc.sh --eval_checkpoint_step 200
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.bc_policy.bc_policy \
    --env FrankaPegInsert-Vision-v0 \
    --exp_name bc_peg_insert \
    --seed 0 \
    --demo_paths runs/peg_insert_20_demos.sqlite \
    "$@"
