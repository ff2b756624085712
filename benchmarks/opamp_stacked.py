"""Small networks trained as one batched model against one after another, side by side in one run, on one thread.

python -m benchmarks.opamp_stacked

Three cases are a label-budget sweep's (many seeds of a narrow network on few labels); then come the comparison of methods as the profile
`quick` runs it (five splits with three inner folds and a final fit each) and as `full` does, where arithmetic and not launching dominates a
CPU, so that stacking gains less. Epochs are fewer than the study's, enough for what is paid once (stacking, copying) to weigh little. Both
sides take the same number of optimiser steps on the same rows; the loop on the other side is the plain PyTorch one (fused AdamW, the same
clipping).
"""

import copy
import time

import torch
from torch import nn

from lib.models.opamp import MLP, OpampNetConfig
from lib.train.stacked import StackedConfig, fit_stacked

FEATURES, TARGETS, REPEATS = 25, 5, 3
CASES = (  # networks, width, labels, batch, epochs
    (64, 32, 25, 32, 20), (64, 32, 50, 32, 10), (64, 32, 100, 32, 5), (20, 48, 640, 64, 12), (30, 96, 640, 64, 6),
)  # fmt: skip


def mse(net, batch):
    """Mean squared error of one network."""
    return nn.functional.mse_loss(net(batch["x"]), batch["y"])


def one_after_another(nets, x, y, rows, config: StackedConfig) -> None:
    """Train every network in a loop of its own."""
    for net in map(copy.deepcopy, nets):
        optimiser = torch.optim.AdamW(net.parameters(), config.lr, weight_decay=config.weight_decay, fused=True)
        for _ in range(config.epochs):
            for part in rows[torch.randperm(len(rows))].split(config.batch_size):
                optimiser.zero_grad(set_to_none=True)
                nn.functional.mse_loss(net(x[part]), y[part]).backward()
                nn.utils.clip_grad_norm_(net.parameters(), config.clip)
                optimiser.step()


def seconds(run) -> float:
    """Return the least wall time of REPEATS runs."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> list[dict]:
    """Return a row per number of labels: seconds on both sides and their ratio."""
    torch.set_num_threads(1)
    out = []
    for networks, width, labels, batch, epochs in CASES:
        x, y = torch.randn(labels, FEATURES), torch.randn(labels, TARGETS)
        rows = torch.arange(labels)
        nets = [MLP(OpampNetConfig(FEATURES, TARGETS, width, 3, 0.0, "silu")) for _ in range(networks)]
        config = StackedConfig(epochs=epochs, batch_size=batch, lr=1e-2, patience=0)
        data, lists = {"x": x[None], "y": y[None]}, [rows] * networks
        stacked = seconds(lambda d=data, r=lists, n=nets, c=config: fit_stacked(n, d, r, mse, c))
        plain = seconds(lambda n=nets, a=x, b=y, r=rows, c=config: one_after_another(n, a, b, r, c))
        what = f"{networks} networks of width {width} on {labels} labels: stacked against one after another"
        out.append({"what": what, "ratio": plain / stacked, "stacked_s": stacked, "plain_s": plain})
    return out


if __name__ == "__main__":
    for row in main():
        print(row)
