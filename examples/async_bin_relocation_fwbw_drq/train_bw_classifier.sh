#!/usr/bin/env bash
# The reward classifier of the way backward for a cell that does not track the object, from frames of record success.
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m rl \
    classifier \
    --positives runs/bin_bw_frames/positives.sqlite \
    --negatives runs/bin_bw_frames/negatives.sqlite \
    --image-keys front \
    --out runs/bin_bw_classifier \
    "$@"
