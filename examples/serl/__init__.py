"""SERL's scripts and flags, said in the words of `robotkit-train`."""
