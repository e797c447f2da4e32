"""`robotkit-train demo`, step by step: robot server, demonstrations, training, evaluation, pictures."""
