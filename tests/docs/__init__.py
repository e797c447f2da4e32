"""The documentation site: its pages, and what they show."""
