"""Agents for continuous actions."""
