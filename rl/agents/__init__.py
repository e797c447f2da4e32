"""Agents: networks, losses and their updates."""
