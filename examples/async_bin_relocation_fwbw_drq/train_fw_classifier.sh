#!/usr/bin/env bash
# The reward classifier of the way forward for a cell that does not track the object, from frames of record success.
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m rl \
    classifier \
    --positives runs/bin_fw_frames/positives.sqlite \
    --negatives runs/bin_fw_frames/negatives.sqlite \
    --image-keys front \
    --out runs/bin_fw_classifier \
    "$@"
