"""Steps of an op-amp's performance model across processes: each is keyed by a spec of its data, its splits and its recipe."""
