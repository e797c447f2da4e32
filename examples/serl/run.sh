#!/usr/bin/env bash
# Start a script of SERL's with the flags that examples/serl/scripts.py has for it: run.sh FOLDER/SCRIPT.sh FLAGS …
script="$(basename "$(cd "$(dirname "$1")" && pwd)")/$(basename "$1")"
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m examples.serl "$script" "${@:2}"
