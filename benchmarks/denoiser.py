"""How much faster the denoiser is than one Conv1d after another: same weights, same outputs, one run.

python -m benchmarks.denoiser
"""

import time

import torch

from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser
from tests.plain_blindspot import PlainBlindSpot

BATCH, PIXELS, REPEATS = 4, 4096, 5


def fastest(*calls):
    """Return the shortest seconds of each call; the calls take turns, so that a busy machine slows all alike."""
    seconds = [[] for _ in calls]
    for _ in range(REPEATS):
        for call, times in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [min(times) for times in seconds]


def train_step(model, x):
    """Return a call that does one forward, backward and AdamW step."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)

    def step():
        optimiser.zero_grad()
        mu, sigma = model(x).unbind(1)
        (((x[:, 0] - mu) / (sigma + 0.1)) ** 2 + sigma.log1p()).mean().backward()
        optimiser.step()

    return step


def main() -> list[dict]:
    """Return rows {what, ratio, ...}: plain seconds / ours at the default configuration, fp32."""
    torch.manual_seed(0)
    x = torch.rand(BATCH, 2, PIXELS)
    plain, ours = PlainBlindSpot().eval(), BlindSpotDenoiser(BlindSpotConfig()).eval()
    plain.load_state_dict(ours.state_dict())
    with torch.no_grad():
        difference = (plain(x) - ours(x)).abs().max().item()
        forward = fastest(lambda: plain(x), lambda: ours(x), lambda: ours.latents(x))
    training = fastest(train_step(plain, x), train_step(ours, x))
    rows = [
        {"what": "denoiser forward", "ratio": forward[0] / forward[1], "plain_s": forward[0], "ours_s": forward[1]},
        {"what": "latents against the plain full forward", "ratio": forward[0] / forward[2], "plain_s": forward[0],
         "ours_s": forward[2]},
        {"what": "latents against our full forward", "ratio": forward[1] / forward[2], "plain_s": forward[1],
         "ours_s": forward[2]},
        {"what": "training step", "ratio": training[0] / training[1], "plain_s": training[0], "ours_s": training[1]},
    ]  # fmt: skip
    shared = {"batch": BATCH, "pixels": PIXELS, "threads": torch.get_num_threads(), "max_abs_difference": difference}
    return [row | shared for row in rows]


if __name__ == "__main__":
    for row in main():
        print({key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()})
