"""Train one point of the study (a recipe at one noise level and seed) as a step of the run cache."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from lib.data.images import PairedImages, add_noise
from lib.files import read_json, replacing, write_csv, write_json
from lib.legible import legible
from lib.losses.images import shared_latent_loss
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser, count_parameters
from lib.noise2noise.recipes import Recipe
from lib.runs import cached, rank
from lib.train import Task, TensorBatches, fit
from lib.weights import fill, read_weights

OUTPUTS = ("cross_a", "cross_b", "same_a", "same_b")
SNAPSHOTS = (1, 2, 3, 5, 10, 20, 30, 50)  # epochs after which an output image is kept


@dataclass(frozen=True)
class Point:
    """One training: what the run cache is keyed by, with the data and the code."""

    recipe: Recipe
    noise_sigma: float
    noise_kind: str
    augment_sigma: float
    features: tuple[int, ...]
    latent_channels: int
    batch_size: int
    learning_rate: float
    fine_learning_rate: float
    clip: float
    schedule: str
    seed: int

    def sizes(self):
        """Return what the network is built from."""
        r = self.recipe
        return SharedLatentConfig(self.features, self.latent_channels, r.skip_source, r.alpha, r.same_domain_skip)

    def model(self):
        """Return the untrained network, its weights drawn from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return SharedLatentDenoiser(self.sizes())


@dataclass(frozen=True)
class Trained:
    """A trained point: the network, one history row per epoch, and the outputs of one validation slice by epoch."""

    point: Point
    model: SharedLatentDenoiser
    history: pd.DataFrame
    snapshots: dict[int, np.ndarray]
    seconds: float


def train_point(point, train: PairedImages, val: PairedImages, *, runtime, data, force=False, trainer=None):
    """Return the Trained point, from the run cache where it is there; None in the processes that help rank 0 to train it.

    data: the fingerprint of the images; trainer: Lightning's devices, num_nodes and strategy, no part of the key
    """
    compute = partial(_compute, point=point, train=train, val=val, runtime=runtime, trainer=trainer or {})
    place = {"train": [train.volume.tolist(), train.z.tolist()], "val": [val.volume.tolist(), val.z.tolist()]}
    settings = asdict(point) | place | {"pairs": list(train.contrasts)}
    folder = cached("noise2noise", compute, config=settings, runtime=runtime, data=data, force=force)
    if rank():
        return None
    with np.load(folder / "snapshots.npz", allow_pickle=False) as images:
        snapshots = {int(epoch): images[epoch] for epoch in images.files}
    history = pd.read_csv(folder / "history.csv")
    seconds = read_json(folder / "fit.json")["seconds"]
    return Trained(point, load_model(folder).to(runtime.device), history, snapshots, seconds)


def save_model(model, folder: Path, **notes):
    """Write weights.safetensors and model.json (the sizes, and `notes`) into `folder`."""
    with replacing(folder / "weights.safetensors") as temporary:
        save_file({name: w.detach().cpu().contiguous() for name, w in model.state_dict().items()}, temporary)
    write_json(folder / "model.json", asdict(model.config) | notes)


def load_model(folder: Path):
    """Return the network that `save_model` wrote; a ValueError names what is missing."""
    settings = read_json(folder / "model.json", tuple(SharedLatentConfig.__dataclass_fields__))
    sizes = {name: settings[name] for name in SharedLatentConfig.__dataclass_fields__}
    with legible(folder / "model.json", "the sizes of a model"):
        model = SharedLatentDenoiser(SharedLatentConfig(**sizes | {"features": tuple(sizes["features"])}))
    return fill(model, read_weights(folder / "weights.safetensors")[0], folder / "weights.safetensors")


def _compute(folder: Path, *, point, train, val, runtime, trainer):
    """Train the stages of the point one after another and write what is left of it."""
    device, model = runtime.device, point.model()
    noisy = [_noisy_pair(images, point, place, device) for place, images in enumerate((train, val))]
    clean = (_tensor(x, device) for x in (val.a, val.b, val.mask))
    batches = TensorBatches(*noisy[1], *noisy[1], *clean, batch_size=8)
    shots, histories, done, seconds = _Snapshots(_busiest(val)), [], 0, 0.0
    for number, stage in enumerate(point.recipe.stages, 1):
        source = _batches((*noisy[0], *noisy[0]), point, number)
        steps = len(source) * stage.epochs if point.schedule == "one_cycle" else 0
        task = Task(
            model, partial(_loss, weights=stage.weights), partial(_adam, lr=_rate(point, stage), steps=steps),
            predict=_cross, metrics={"psnr_db": partial(_psnr, n=int(val.mask.sum()) * 2)},
        )  # fmt: skip
        fitted = fit(
            task, source, batches, folder=folder / f"stage{number}", epochs=stage.epochs, clip=point.clip,
            runtime=runtime, callbacks=[shots.after(done)], name=f"{point.recipe.name} stage {number}", **trainer,
        )  # fmt: skip
        seconds += fitted.seconds
        histories.append(fitted.history.assign(epoch=fitted.history.epoch + 1 + done, stage=number))
        done += stage.epochs
    if rank():
        return
    save_model(model, folder, recipe=point.recipe.name, parameters=count_parameters(model))
    write_csv(folder / "history.csv", pd.concat(histories, ignore_index=True))
    with replacing(folder / "snapshots.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{str(epoch): image.numpy() for epoch, image in shots.images.items()})
    write_json(folder / "fit.json", {"seconds": seconds})


def _noisy_pair(images, point, place, device):
    """Return the one noisy acquisition of both contrasts that a data set has, on the device."""
    rng = np.random.default_rng([point.seed, place])
    return [_tensor(add_noise(x, point.noise_sigma, point.noise_kind, rng), device) for x in (images.a, images.b)]


def _tensor(array, device):
    return torch.from_numpy(array)[:, None].to(device)


def _rate(point, stage):
    return point.fine_learning_rate if stage.fine else point.learning_rate


def _adam(model, lr, steps):
    """Return Adam at a constant rate, or (steps given) with one cycle: a short rise to lr, then a fall to zero."""
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    if not steps:
        return adam
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=steps, pct_start=0.1)
    return {"optimizer": adam, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _batches(rows, point, stage):
    """Return shuffled batches (x_a, x_b, target_a, target_b); fresh noise of augment_sigma enters the inputs alone."""
    augment = partial(_augment, sigma=point.augment_sigma)
    seed = point.seed * 10 + stage
    return TensorBatches(*rows, batch_size=point.batch_size, seed=seed, shuffle=True, augment=augment)


def _augment(batch, generator, sigma):
    """Return a batch with fresh noise on its inputs; of several processes each keeps its share of the rows."""
    return _share(_noisier(batch, generator, sigma) if sigma else batch)


def _share(batch):
    """Return every world-th row, as one of `world` processes that train together; a short last batch repeats its rows."""
    joined = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not joined:
        return batch
    n, world = len(batch[0]), torch.distributed.get_world_size()
    rows = torch.arange(torch.distributed.get_rank(), max(n, world), world) % n
    return tuple(x[rows.to(x.device)] for x in batch)


def _noisier(batch, generator, sigma):
    noise = [sigma * torch.randn(x.shape, generator=generator, device=x.device) for x in batch[:2]]
    return (*(x + n for x, n in zip(batch[:2], noise, strict=True)), *batch[2:])


def _loss(model, batch, weights):
    """Return the losses of a batch; recon is skipped in training where it weighs nothing."""
    x_a, x_b, target_a, target_b = batch[:4]
    out = model(x_a, x_b, same=weights.recon > 0 or not model.training)
    return shared_latent_loss(out, target_a, target_b, weights)


def _cross(model, batch):
    """Return (clean, cross output) of both domains, the background of the output being replaced by the truth."""
    x_a, x_b, _, _, clean_a, clean_b, mask = batch
    out = model(x_a, x_b, same=False)
    clean = torch.cat([clean_a, clean_b], 1)
    return clean, torch.where(mask, torch.cat([out["cross_a"], out["cross_b"]], 1).float(), clean)


def _psnr(clean, image, n):
    """Return the PSNR in dB over the n pixels of the objects."""
    return -10 * torch.log10(((image - clean) ** 2).sum() / n)


def _busiest(images):
    return int(images.mask.sum(axis=(1, 2)).argmax())


class _Snapshots(Callback):
    """Keep the cross outputs of one validation slice after some epochs, (2, H, W) float16; the checkpoint keeps them too."""

    def __init__(self, row):
        self.row, self.offset, self.images = row, 0, {}

    def after(self, epochs):
        """Count epochs on from here."""
        self.offset = epochs
        return self

    def on_train_epoch_end(self, trainer, task):
        epoch = trainer.current_epoch + 1 + self.offset
        if epoch in SNAPSHOTS:
            x_a, x_b = (x[self.row : self.row + 1].to(task.device) for x in trainer.val_dataloaders.tensors[:2])
            with torch.no_grad():
                out = task.model(x_a, x_b, same=False)
            self.images[epoch] = torch.cat([out["cross_a"], out["cross_b"]], 1)[0].half().cpu()

    def state_dict(self):
        return {"images": self.images}

    def load_state_dict(self, state):
        self.images = dict(state["images"])


@torch.no_grad()
def outputs(model, noisy_a, noisy_b, device, batch_size=8):
    """Return {cross_a, cross_b, same_a, same_b}, each (n, H, W) float32, of noisy images (n, H, W)."""
    model.eval()
    found = {name: [] for name in OUTPUTS}
    for start in range(0, len(noisy_a), batch_size):
        batch = (torch.from_numpy(x[start : start + batch_size, None]).to(device) for x in (noisy_a, noisy_b))
        out = model(*batch)
        for name in OUTPUTS:
            found[name].append(out[name][:, 0].float().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}
