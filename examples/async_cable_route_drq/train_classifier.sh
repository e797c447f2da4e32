#!/usr/bin/env bash
# The reward classifier for a cell that does not track the cable, from frames of `robotkit-train record success`.
cd "$(dirname "$0")/../.." || exit 1
exec "${PYTHON:-python}" -m rl \
    classifier \
    --positives runs/cable_route_frames/positives.sqlite \
    --negatives runs/cable_route_frames/negatives.sqlite \
    --out runs/cable_route_classifier \
    "$@"
