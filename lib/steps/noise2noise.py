"""Train a shared-latent Noise2Noise network: a recipe, at one noise level and seed, on the images that a spec describes."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file

from lib.data.images import add_noise, load, split
from lib.data.images.contrasts import FILE
from lib.files import fingerprint, read_json, replacing, write_csv, write_json
from lib.legible import legible
from lib.losses.images import LossWeights, shared_latent_loss
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser, count_parameters
from lib.paths import resolve
from lib.runtime import Runtime, rank
from lib.steps import place, step
from lib.train import Task, TensorBatches, fit
from lib.weights import fill, read_weights

SNAPSHOTS = (1, 2, 3, 5, 10, 20, 30, 50)  # epochs after which an output image is kept


@dataclass(frozen=True)
class Stage:
    """Some epochs with one set of weights; `fine` stages use the smaller learning rate."""

    epochs: int
    weights: LossWeights
    fine: bool = False


@dataclass(frozen=True)
class Recipe:
    """One configuration: its stages, latent size and skips. A stage starts from the best weights of the one before."""

    name: str
    stages: tuple[Stage, ...]
    latent: int = 256
    skip_source: str = "none"
    same_domain_skip: bool = True  # the document's `no_skip` is a strategy of the cross path alone
    alpha: float = 0.5
    ours: bool = False

    @property
    def epochs(self):
        """The epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def lasting(self, epochs):
        """Return this recipe with another number of epochs in all, divided between its stages as before (0: unchanged)."""
        if not epochs:
            return self
        if epochs < len(self.stages):
            raise ValueError(f"{self.name} has {len(self.stages)} stages: {epochs} epochs are too few")
        counts, left = [], epochs
        for number, stage in enumerate(self.stages[:-1]):
            counts.append(max(1, min(round(epochs * stage.epochs / self.epochs), left - (len(self.stages) - 1 - number))))
            left -= counts[-1]
        stages = (replace(stage, epochs=n) for stage, n in zip(self.stages, [*counts, left], strict=True))
        return replace(self, stages=tuple(stages))

    def reweighted(self, **weights):
        """Return this recipe with other loss weights in every stage."""
        stages = tuple(replace(stage, weights=replace(stage.weights, **weights)) for stage in self.stages)
        return replace(self, stages=stages)


@dataclass(frozen=True)
class ImagesSpec:
    """Which images (an empty `data_dir`: the embedded pair), how they are read, and how they are split."""

    fingerprint: str
    data_dir: str = place()
    pairs: str
    reconstruction: str
    crop: int
    max_shift_px: float
    n_train: int
    n_val: int
    n_test: int


def images_fingerprint(data_dir):
    """Return the fingerprint of the files of a folder; of the embedded pair where `data_dir` is empty."""
    return fingerprint(*(sorted(p for p in resolve(data_dir).rglob("*") if p.is_file()) if data_dir else [FILE]))


@lru_cache(maxsize=2)
def open_images(spec):
    """Return all PairedImages of a spec and their split {train, val, test}; ValueError where the files have changed."""
    if images_fingerprint(spec.data_dir) != spec.fingerprint:
        raise ValueError(f"{spec.data_dir or FILE}: the files are not those of fingerprint {spec.fingerprint}")
    options = {name: getattr(spec, name) for name in ("pairs", "reconstruction", "crop", "max_shift_px")}
    images = load(spec.data_dir, **options)
    return images, split(images, spec.n_train, spec.n_val, spec.n_test)


@dataclass(frozen=True)
class Point:
    """What a training is, but for its images and devices."""

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
class TrainingSpec(Point):
    """All that a training depends on; devices, num_nodes and strategy are Lightning's."""

    images: ImagesSpec
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    def trainer(self):
        """Return Lightning's arguments for several devices; empty for one.

        The weights of a skip that no loss looks at get no gradient, hence `find_unused_parameters`.
        """
        if self.devices * self.num_nodes == 1:
            return {}
        strategy = "ddp_find_unused_parameters_true" if self.strategy == "auto" else self.strategy
        return {"devices": self.devices, "num_nodes": self.num_nodes, "strategy": strategy}


@step
def train_shared_latent(spec: TrainingSpec, folder: Path, runtime: Runtime) -> None:
    """Train the stages of the recipe one after another and write what is left of it."""
    device, model = runtime.device, spec.model()
    train, val = (open_images(spec.images)[1][name] for name in ("train", "val"))
    noisy = [_noisy_pair(images, spec, part, device) for part, images in enumerate((train, val))]
    clean = (_tensor(x, device) for x in (val.a, val.b, val.mask))
    batches = TensorBatches(*noisy[1], *noisy[1], *clean, batch_size=8)
    shots, histories, done, seconds = _Snapshots(int(val.mask.sum(axis=(1, 2)).argmax())), [], 0, 0.0
    for number, stage in enumerate(spec.recipe.stages, 1):
        source = _batches((*noisy[0], *noisy[0]), spec, number)
        rate = spec.fine_learning_rate if stage.fine else spec.learning_rate
        steps = len(source) * stage.epochs if spec.schedule == "one_cycle" else 0
        task = Task(
            model, partial(_loss, weights=stage.weights), partial(_adam, lr=rate, steps=steps),
            predict=_cross, metrics={"psnr_db": partial(_psnr, n=int(val.mask.sum()) * 2)},
        )  # fmt: skip
        fitted = fit(
            task, source, batches, folder=folder / f"stage{number}", epochs=stage.epochs, clip=spec.clip,
            runtime=runtime, callbacks=[shots.after(done)], name=f"{spec.recipe.name} stage {number}", **spec.trainer(),
        )  # fmt: skip
        seconds += fitted.seconds
        histories.append(fitted.history.assign(epoch=fitted.history.epoch + 1 + done, stage=number))
        done += stage.epochs
    if rank():
        return
    save_model(model, folder, recipe=spec.recipe.name, parameters=count_parameters(model))
    write_csv(folder / "history.csv", pd.concat(histories, ignore_index=True))
    with replacing(folder / "snapshots.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{str(epoch): image.numpy() for epoch, image in shots.images.items()})
    write_json(folder / "fit.json", {"seconds": seconds})


def _noisy_pair(images, spec, part, device):
    """Return the one noisy acquisition of both contrasts that a data set has, on the device."""
    rng = np.random.default_rng([spec.seed, part])
    return [_tensor(add_noise(x, spec.noise_sigma, spec.noise_kind, rng), device) for x in (images.a, images.b)]


def _tensor(array, device):
    return torch.from_numpy(array)[:, None].to(device)


def _adam(model, lr, steps):
    """Return Adam at a constant rate, or (steps given) with one cycle: a short rise to lr, then a fall to zero."""
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    if not steps:
        return adam
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, lr, total_steps=steps, pct_start=0.1)
    return {"optimizer": adam, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _batches(rows, spec, stage):
    """Return shuffled batches (x_a, x_b, target_a, target_b); fresh noise of augment_sigma enters the inputs alone."""
    augment = partial(_augment, sigma=spec.augment_sigma)
    seed = spec.seed * 10 + stage
    return TensorBatches(*rows, batch_size=spec.batch_size, seed=seed, shuffle=True, augment=augment)


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
