#!/usr/bin/env bash
# 20 demonstrations of the way backward by the scripted expert, or by a person: --cell URL --human spacemouse
cd "$(dirname "$0")/../.." || exit 1
mkdir -p runs || exit 1
exec "${PYTHON:-python}" -m examples.async_bin_relocation_fwbw_drq.record_demo \
    --fwbw bw \
    --human expert \
    --successes_needed 20 \
    --demo_path runs/bin_bw_20_demos.sqlite \
    "$@"
