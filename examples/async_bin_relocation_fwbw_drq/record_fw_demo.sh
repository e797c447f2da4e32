#!/usr/bin/env bash
# Its flags stand in examples/serl/scripts.py; further ones come after them, such as --seed 1.
exec "$(dirname "$0")/../serl/run.sh" "$0" "$@"
