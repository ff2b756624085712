"""Does noise leak through the skips of a Noise2Noise network, and what cures it? Modules: study, claims, diagnose, apply."""
