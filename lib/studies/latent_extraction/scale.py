"""What pretraining at the documents' sizes would take on this machine."""

import time

import torch

from lib import denoising
from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser
from lib.runtime import Runtime

SPECTRA, EPOCHS, PIXELS = 100_000, 5_000, 4096  # the documents' pretraining; the network is BlindSpotConfig's default
AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def projected(runtime: Runtime, *, steps: int = 3, pixels: int = PIXELS) -> dict[str, float]:
    """Time training steps (T1, Adam) of the documents' network: samples_per_second, and hours for all epochs on one device.

    The batch is the documents' 128 on a GPU and 2 on a CPU; the first step warms up and does not count.
    """
    gpu = runtime.device.type == "cuda"
    batch = 128 if gpu else 2
    with torch.random.fork_rng(devices=[runtime.device] if gpu else []):
        torch.manual_seed(runtime.seed)
        model = denoising.Pretrainee(BlindSpotDenoiser(BlindSpotConfig()), 0).to(runtime.device).train()
        flux = torch.rand(batch, pixels, device=runtime.device)
    seen = (flux, torch.full_like(flux, 0.1), flux, flux[:, :1])
    seconds = [_step(model, seen, runtime) for _ in range(steps + 1)][1:]
    rate = batch / min(seconds)
    return {"samples_per_second": rate, "hours": SPECTRA * EPOCHS / rate / 3600}


def _step(model: denoising.Pretrainee, seen: tuple[torch.Tensor, ...], runtime: Runtime) -> float:
    """Return the seconds of one forward, backward and optimiser step."""
    objective = denoising.objective(denoising.Pretraining())
    adam = torch.optim.Adam(model.parameters(), 5e-4)
    kind = runtime.device.type
    start = time.perf_counter()
    with torch.autocast(kind, AUTOCAST.get(runtime.precision, torch.bfloat16), enabled=runtime.precision in AUTOCAST):
        loss = objective(model, seen)["loss"]
    loss.backward()
    adam.step()
    if kind == "cuda":
        torch.cuda.synchronize(runtime.device)
    return time.perf_counter() - start
