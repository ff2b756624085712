"""How much one batched search gains over one search per specification: same networks, same starts, one run.

python -m benchmarks.opamp_inverse
"""

import time

import torch

from lib.data import opamp
from lib.inverse import spec
from lib.inverse.candidates import known_and_random
from lib.inverse.search import SearchConfig, search
from lib.inverse.space import Space
from lib.inverse.spec import Goals
from lib.inverse.surrogate import ScaledSurrogate
from lib.models.ensemble import Ensemble, EnsembleConfig

SPECIFICATIONS, STARTS = 24, 16
SEARCH = SearchConfig(steps=30, lr=0.05, lbfgs=10, keep=8, n_init=STARTS)


def main() -> list[dict]:
    """Return rows {what, ratio, ...}: seconds one by one / seconds in one batch, on the embedded op-amp's space."""
    read = opamp.embedded()
    frame = read.target
    torch.manual_seed(0)
    net = Ensemble(EnsembleConfig(tuple(read.features), len(read.targets)))
    x, y = (torch.tensor(frame[c].to_numpy()) for c in (read.features, read.targets))
    net.features.fit(x.float())
    scaler = opamp.Scaler.fit(frame, read.targets, ["slewrate_pos", "dc_gain", "ugf", "cmrr"])
    surrogate, space = ScaledSurrogate(net.combined, None, scaler), Space.from_frame(frame, read.features)
    wanted = [spec.targets(row) for row in frame[read.targets].head(SPECIFICATIONS).to_dict("records")]
    goals = Goals.stack(wanted, read.targets, y)
    starts = known_and_random(goals, y, x, space, STARTS, torch.Generator().manual_seed(0))
    begin = time.perf_counter()
    search(surrogate, space, goals, starts, SEARCH)
    middle = time.perf_counter()
    for i in range(SPECIFICATIONS):
        search(surrogate, space, Goals.stack(wanted[i : i + 1], read.targets, y), starts[i : i + 1], SEARCH)
    together, alone = middle - begin, time.perf_counter() - middle
    return [{"what": "inverse search, all specifications in one batch", "ratio": alone / together, "plain_s": alone,
             "ours_s": together, "specifications": SPECIFICATIONS, "starts": STARTS, "threads": torch.get_num_threads()}]  # fmt: skip


if __name__ == "__main__":
    print(*main(), sep="\n")
