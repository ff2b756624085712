"""Prepare, train, evaluate: every result of the study as a long DataFrame."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.data.images import PairedImages, add_noise, noise_floor
from lib.files import read_json
from lib.models.shared_latent import SharedLatentDenoiser, count_parameters
from lib.runtime import rank
from lib.steps import noise2noise as n2n
from lib.studies.noise2noise.arms import points
from lib.studies.noise2noise.evaluate import OUTPUTS, evaluate, evaluate_classical, outputs, tune

MILESTONES = {1: 1.0, 10: 0.5, 20: 0.3}  # epoch: what the document expects of the cross loss
THRESHOLDS = (0.5, 0.3)


@dataclass(frozen=True)
class Data:
    """The images of a run: all of them, the split, and what a training opens them by."""

    images: PairedImages
    parts: dict[str, PairedImages]
    spec: n2n.ImagesSpec

    def described(self):
        """Return what a report states of the data."""
        return {
            "source": self.images.source, "name": self.images.name, "fingerprint": self.spec.fingerprint,
            "n_train": len(self.parts["train"]), "n_dropped": self.images.n_dropped, "n_test": len(self.parts["test"]),
        }  # fmt: skip

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


def train(config, data, runtime):
    """Return the rows of `points` with a column `trained`."""
    rows = points(config)
    done = {}
    for p in rows.point:
        if p not in done:
            done[p] = train_one(config, p, data, runtime)
    return rows.assign(trained=[done[p] for p in rows.point])


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
    """Return the held-out scores: one row per training, path, domain and slice, its `unit` (columns: evaluate.evaluate).

    The test noise of a seed is the same for all configurations of that seed, so that they can be compared slice by slice.
    """
    found, frames = {}, []
    for row in trained.itertuples():
        p = row.point
        if p not in found:
            noise = (p.noise_sigma, p.noise_kind, p.seed)
            found[p] = evaluate(row.trained.model, data.parts["test"], *noise, runtime.device)
        frames.append(found[p].assign(sweep=row.sweep, value=row.value, arm=row.arm, seed=p.seed, sigma=p.noise_sigma))
    return pd.concat(frames, ignore_index=True)


def classical(config, data):
    """Return the held-out scores of the classical methods at the config's noise level, one row per slice and domain."""
    noise = (config.noise_sigma, config.noise_kind, config.seed)
    return evaluate_classical(data.parts["test"], tune(data.parts["val"], *noise), *noise)


def histories(trained):
    """Return the loss curves: one row per training and epoch."""
    frames = [
        row.trained.history.assign(sweep=row.sweep, value=row.value, arm=row.arm, seed=row.seed) for row in trained.itertuples()
    ]
    return pd.concat(frames, ignore_index=True)


def costs(trained):
    """Return parameters, seconds, epochs until the cross loss is below each threshold (NaN: never), and how the curves went."""
    rows = []
    for row in trained.itertuples():
        history = row.trained.history
        reached = {f"epochs_to_{limit}": history.epoch[history.train_cross < limit].min() for limit in THRESHOLDS}
        rows.append({
            "sweep": row.sweep, "value": row.value, "arm": row.arm, "seed": row.seed,
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


def train_floor(config, data):
    """Return the noise floor of the cross loss on the training images: what the training curve cannot honestly cross."""
    part, rng = data.parts["train"], np.random.default_rng([config.seed, 0])
    floors = [
        noise_floor(add_noise(x, config.noise_sigma, config.noise_kind, rng), x, config.noise_sigma, config.noise_kind)
        for x in (part.a, part.b)
    ]
    return float(sum(floor.mean() for floor in floors))


def gallery(trained, config, data, runtime):
    """Return the images of one test slice: rows (arm, path, domain, kind, image); kind: clean, noisy, output, residual, noise.

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
                {"arm": row.arm, "path": path, "domain": d, "kind": kind, "image": np.where(part.mask[i], image, 0)}
                for kind, image in images.items()
            ]
    return pd.DataFrame(rows)


def snapshots(trained, config, data):
    """Return the cross output of one validation slice by epoch: rows (arm, epoch, image), first seed, domain a.

    Epoch 0 is the clean image, epoch -1 the noisy one that is the target.
    """
    val = data.parts["val"]
    i = int(val.mask.sum(axis=(1, 2)).argmax())
    rng = np.random.default_rng([config.seed, 1])
    noisy = add_noise(val.a, config.noise_sigma, config.noise_kind, rng)[i]
    rows = []
    for row in trained[(trained.sweep == "main") & (trained.seed == config.seed)].itertuples():
        rows += [{"arm": row.arm, "epoch": 0, "image": val.a[i]}, {"arm": row.arm, "epoch": -1, "image": noisy}]
        for epoch, image in sorted(row.trained.snapshots.items()):
            rows.append({"arm": row.arm, "epoch": epoch, "image": image[0].astype(np.float32)})
    return pd.DataFrame(rows)
