"""Prepare, train, evaluate: every result of the study as a long DataFrame."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.data.images import PairedImages, add_noise, noise_floor
from lib.files import read_json
from lib.metrics import t_interval
from lib.models.shared_latent import SharedLatentDenoiser, count_parameters
from lib.runtime import rank
from lib.steps import noise2noise as n2n
from lib.studies.noise2noise.classical import evaluate_classical, tune
from lib.studies.noise2noise.measure import OUTPUTS, evaluate, outputs
from lib.studies.noise2noise.recipes import recipe

MILESTONES = {1: 1.0, 10: 0.5, 20: 0.3}  # epoch: what the document expects of the cross loss
THRESHOLDS = (0.5, 0.3)
SCORES = ("psnr_db", "ssim", "detail", "l1", "floor", "leak", "copy", "corr_target", "corr_latent", "corr_neighbour")


@dataclass(frozen=True)
class Data:
    """The images of a run: all of them, the split, and what a training opens them by."""

    images: PairedImages
    parts: dict[str, PairedImages]
    spec: n2n.ImagesSpec

    @property
    def fingerprint(self):
        """The fingerprint of the files."""
        return self.spec.fingerprint

    def table(self):
        """Return slices, z range and object share per part."""
        rows = [
            {
                "part": name, "slices": len(part), "volumes": len(np.unique(part.volume)),
                "z_first": int(part.z.min()), "z_last": int(part.z.max()), "object_share": float(part.mask.mean()),
            }
            for name, part in self.parts.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class Trained:
    """A trained point: the network, one history row per epoch, and the outputs of one validation slice by epoch."""

    model: SharedLatentDenoiser
    history: pd.DataFrame
    snapshots: dict[int, np.ndarray]
    seconds: float


def prepare(config):
    """Read, check and split the images that the config names."""
    named = {"data_dir", "pairs", "reconstruction", "crop", "max_shift_px", "n_train", "n_val", "n_test"}
    spec = n2n.ImagesSpec(n2n.images_fingerprint(config.data_dir), **config.model_dump(include=named))
    return Data(*n2n.open_images(spec), spec)


def point(config, name, seed, *, sigma=None, latent=None, **weights):
    """Return the training of configuration `name`; sigma, latent and loss weights may differ from its own."""
    own = recipe(name)
    if config.content_kind != "recipe":
        weights = {"content_kind": config.content_kind} | weights
    used = own.lasting(config.epochs).reweighted(**weights)
    return n2n.Point(
        recipe=replace(used, latent=latent or own.latent, alpha=config.alpha),
        noise_sigma=config.noise_sigma if sigma is None else sigma,
        noise_kind=config.noise_kind, augment_sigma=config.augment_sigma, features=tuple(config.features),
        latent_channels=max(1, round((latent or own.latent) * config.latent_scale)), batch_size=config.batch_size,
        learning_rate=config.learning_rate, fine_learning_rate=config.stage2_learning_rate, clip=config.clip, schedule=config.schedule, seed=seed,
    )  # fmt: skip


def points(config):
    """Return every training of a run as rows (sweep, value, config, Point); `sweep` is `main` for the configurations.

    The same training may stand in two sweeps; the run cache trains it once.
    """
    seeds = range(config.seed, config.seed + config.n_seeds)
    rows = [("main", np.nan, name, point(config, name, seed)) for name in config.configs for seed in seeds]
    for seed in seeds:
        for sigma in config.sweep_noise:
            for name in ("original", "pure_noise2noise", *(n for n in config.configs if n == "extreme_denoising")):
                rows.append(("noise_sigma", sigma, name, point(config, name, seed, sigma=sigma)))
        for key in ("recon", "content", "edge", "cross"):
            for value in getattr(config, f"sweep_{key}"):
                rows.append((key, value, "pure_noise2noise", point(config, "pure_noise2noise", seed, **{key: float(value)})))
        for latent in config.sweep_latent:
            rows.append(("latent", latent, "pure_noise2noise", point(config, "pure_noise2noise", seed, latent=latent)))
    return pd.DataFrame(rows, columns=["sweep", "value", "config", "point"])


def train(config, data, runtime):
    """Return the rows of `points` with a column `trained`."""
    rows = points(config)
    done = {}
    for p in rows.point:
        if p not in done:
            done[p] = train_one(config, p, data, runtime)
    return rows.assign(seed=[p.seed for p in rows.point], trained=[done[p] for p in rows.point])


def training(config, p, data):
    """Return the spec of the step that trains point p on these images."""
    return n2n.TrainingSpec(**vars(p), images=data.spec, **config.model_dump(include={"devices", "num_nodes", "strategy"}))


def train_one(config, p, data, runtime):
    """Return the trained point p, from the run cache where it is there (None in a process that only helped)."""
    folder = n2n.train_shared_latent(training(config, p, data), runtime, force=config.force)
    if rank():
        return None
    with np.load(folder / "snapshots.npz", allow_pickle=False) as images:
        snapshots = {int(epoch): images[epoch] for epoch in images.files}
    history, seconds = pd.read_csv(folder / "history.csv"), read_json(folder / "fit.json")["seconds"]
    return Trained(n2n.load_model(folder).to(runtime.device), history, snapshots, seconds)


def scores(trained, data, runtime):
    """Return the held-out scores: one row per training, path, domain and slice (columns: measure.evaluate).

    The test noise of a seed is the same for all configurations of that seed, so that they can be compared slice by slice.
    """
    found, frames = {}, []
    for row in trained.itertuples():
        p = row.point
        if p not in found:
            found[p] = evaluate(
                row.trained.model, data.parts["test"], p.noise_sigma, p.noise_kind, p.seed, runtime.device
            )  # fmt: skip
        frames.append(found[p].assign(sweep=row.sweep, value=row.value, config=row.config, seed=p.seed, sigma=p.noise_sigma))
    return pd.concat(frames, ignore_index=True)


def classical(config, data):
    """Return the held-out scores of the classical methods at the config's noise level, one row per slice and domain."""
    noise = (config.noise_sigma, config.noise_kind, config.seed)
    return evaluate_classical(data.parts["test"], tune(data.parts["val"], *noise), *noise)


def summary(scored):
    """Return mean scores per sweep, value, configuration, path and seed: the unit of all comparisons between seeds."""
    keys = ["sweep", "value", "config", "path", "seed"]
    return scored.groupby(keys, dropna=False, sort=False)[[*SCORES, "noisy_psnr_db", "noisy_ssim"]].mean().reset_index()


def histories(trained):
    """Return the loss curves: one row per training and epoch."""
    frames = [
        row.trained.history.assign(sweep=row.sweep, value=row.value, config=row.config, seed=row.seed)
        for row in trained.itertuples()
    ]
    return pd.concat(frames, ignore_index=True)


def costs(trained):
    """Return parameters, seconds, epochs until the cross loss fell below each threshold (NaN: never), and how the curves went."""
    rows = []
    for row in trained.itertuples():
        history = row.trained.history
        reached = {
            f"epochs_to_{limit}": history.epoch[history.train_cross < limit].min() for limit in THRESHOLDS
        }  # fmt: skip
        rows.append({
            "sweep": row.sweep, "value": row.value, "config": row.config, "seed": row.seed,
            "epochs": len(history), "parameters": count_parameters(row.trained.model),
            "latent_channels": row.point.latent_channels, "seconds": row.trained.seconds, **reached,
            "roughness": roughness(history.val_cross), "recon_roughness": roughness(history.val_recon),
            "content_ratio": history.val_content_ratio.iloc[-1],
        })  # fmt: skip
    return pd.DataFrame(rows)


def roughness(losses):
    """Return the sum of a curve's rises over its total fall: 0 for a curve that only falls."""
    steps = np.diff(np.asarray(losses, float))
    fall = -steps[steps < 0].sum()
    return float(steps[steps > 0].sum() / fall) if fall > 0 else np.nan


def floor_test(scored):
    """Return per configuration the held-out cross loss, its noise floor, and their difference with a 95% interval.

    The cross loss is the sum over the two domains. The difference is paired over the slices (mean over seeds first), so
    that the noise itself cancels; a difference below zero means that the outputs contain their targets' noise.
    """
    cross = scored[(scored.sweep == "main") & (scored.path == "cross")]
    per_slice = cross.groupby(["config", "seed", "slice"], sort=False)[["l1", "floor"]].sum()
    per_slice = per_slice.groupby(["config", "slice"], sort=False).mean().reset_index()
    rows = []
    for name, part in per_slice.groupby("config", sort=False):
        mean, low, high = t_interval(part.l1 - part.floor)
        side = "below" if high < 0 else "above" if low > 0 else "at"
        rows.append({
            "config": name, "cross_loss": part.l1.mean(), "noise_floor": part.floor.mean(), "difference": mean,
            "low": low, "high": high, "side": side,
        })  # fmt: skip
    return pd.DataFrame(rows)


def train_floor(config, data):
    """Return the noise floor of the cross loss on the training images: the line that the training curve cannot cross honestly."""
    part, rng = data.parts["train"], np.random.default_rng([config.seed, 0])
    floors = [
        noise_floor(add_noise(x, config.noise_sigma, config.noise_kind, rng), x, config.noise_sigma, config.noise_kind)
        for x in (part.a, part.b)
    ]
    return float(sum(floor.mean() for floor in floors))


def gallery(trained, config, data, runtime):
    """Return the images of one test slice: rows (config, domain, kind, image); kind: clean, noisy, output, residual, noise.

    The first seed of each configuration of `main`; `noise` is the noise of the target, to lie beside the residual.
    """
    part = data.parts["test"]
    i = int(part.mask.sum(axis=(1, 2)).argmax())
    rng = np.random.default_rng([config.seed, 7])
    clean = {"a": part.a, "b": part.b}
    noisy = {d: add_noise(clean[d], config.noise_sigma, config.noise_kind, rng)[i : i + 1] for d in clean}
    rows = []
    first = trained[(trained.sweep == "main") & (trained.seed == config.seed)]
    for row in first.itertuples():
        out = outputs(row.trained.model, noisy["a"], noisy["b"], runtime.device)
        for name in OUTPUTS:
            path, d = name.split("_")
            c, x, y = clean[d][i], noisy[d][0], out[name][0]
            images = {"clean": c, "noisy": x, "output": y, "residual": y - c, "noise": x - c}
            rows += [
                {"config": row.config, "path": path, "domain": d, "kind": kind, "image": np.where(part.mask[i], image, 0)}
                for kind, image in images.items()
            ]
    return pd.DataFrame(rows)


def snapshots(trained, config, data):
    """Return the cross output of one validation slice by epoch: rows (config, epoch, image), first seed, domain a.

    Epoch 0 is the clean image, epoch -1 the noisy one that is the target.
    """
    val = data.parts["val"]
    i = int(val.mask.sum(axis=(1, 2)).argmax())
    rng = np.random.default_rng([config.seed, 1])
    noisy = add_noise(val.a, config.noise_sigma, config.noise_kind, rng)[i]
    rows = []
    for row in trained[(trained.sweep == "main") & (trained.seed == config.seed)].itertuples():
        rows += [{"config": row.config, "epoch": 0, "image": val.a[i]}, {"config": row.config, "epoch": -1, "image": noisy}]
        for epoch, image in sorted(row.trained.snapshots.items()):
            rows.append({"config": row.config, "epoch": epoch, "image": image[0].astype(np.float32)})
    return pd.DataFrame(rows)
