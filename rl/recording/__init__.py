"""Recordings of an environment: demonstrations, and labelled frames for a reward classifier."""
