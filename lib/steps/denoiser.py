"""Train the blind-spot denoiser, and a small student that imitates one of its latents."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from lib import denoising, latents
from lib.data.batches import SpectraBatches
from lib.data.sets import SpectraSpec, open_set
from lib.files import fingerprint
from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser, load_pretrained
from lib.models.latent import pool_by_name
from lib.models.student import Student
from lib.runtime import Runtime
from lib.steps import place, step
from lib.train import Task, fit

STUDENT = "student.safetensors"


@dataclass(frozen=True)
class DenoiserSpec:
    """A pretraining; several devices share each batch, so that they change what is learnt."""

    model: BlindSpotConfig
    training: denoising.Pretraining
    train: SpectraSpec
    val: SpectraSpec
    seed: int
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"


@dataclass(frozen=True)
class Encoder:
    """A pretrained denoiser on disk: the content of its weights and shape, and where they lie."""

    fingerprint: str
    path: str = place(default="")


@dataclass(frozen=True)
class StudentSpec:
    """The cell (layer, pooling) of a teacher that a student learns to return from the spectrum."""

    teacher: Encoder
    cell: tuple[str, str]
    direction: str
    edges: str
    train: SpectraSpec
    val: SpectraSpec
    epochs: int
    seed: int


@step
def pretrain_denoiser(spec: DenoiserSpec, folder: Path, runtime: Runtime) -> None:
    """Pretrain into the folder: the weights with their config, and one row per epoch."""
    several = {"devices": spec.devices, "num_nodes": spec.num_nodes, "strategy": spec.strategy}
    trainer = several if spec.devices * spec.num_nodes > 1 else {}
    train, val = (open_set(data, runtime.device) for data in (spec.train, spec.val))
    denoising.pretrain(spec.model, spec.training, train, val, folder=folder, runtime=runtime, **trainer)


@step
def distil_student(spec: StudentSpec, folder: Path, runtime: Runtime) -> None:
    """Train a student on the teacher's features of spectra under fresh noise; they are scaled by those of the training set."""
    teacher = open_encoder(spec.teacher, runtime.device)
    train, val = (open_set(data, runtime.device) for data in (spec.train, spec.val))
    target = latents.pooled(teacher, train, [spec.cell], direction=spec.direction, edges=spec.edges)[spec.cell]
    mean, scale = target.mean(0), target.std(0).clamp_min(1e-6)

    def loss(model: Student, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        x = denoising.stack_input(*batch, teacher.config)
        with torch.no_grad():
            wanted = pool_by_name(teacher.latents(x, spec.cell[0], spec.direction), spec.cell[1], spec.edges)
        return {"loss": F.mse_loss(model(x).float(), (wanted - mean) / scale)}

    torch.manual_seed(spec.seed)
    student = Student(target.shape[1], teacher.config.in_channels).to(runtime.device)
    adam = partial(torch.optim.AdamW, lr=2e-3)
    options = {"batch_size": 128, "seed": spec.seed, "fields": ("noisy", "sigma")}
    batches = SpectraBatches(train, shuffle=True, fresh=True, **options), SpectraBatches(val, **options)
    task = Task(student, loss, lambda model: adam(model.parameters()))
    fit(task, *batches, folder=folder, epochs=spec.epochs, runtime=runtime, name="student")
    save_file({k: v.cpu().contiguous() for k, v in student.state_dict().items()}, folder / STUDENT)


def encoder_at(path: Path) -> Encoder:
    """Return what says which denoiser lies at `path`; its config beside the weights is a part of it."""
    side = path.with_suffix(".json")
    return Encoder(fingerprint(path, *[side] if side.is_file() else []), str(path))


@lru_cache(maxsize=1)
def open_encoder(encoder: Encoder, device: torch.device) -> BlindSpotDenoiser:
    """Load a denoiser to read from: in eval mode, its weights frozen; ValueError where another one lies there by now."""
    if encoder_at(Path(encoder.path)) != encoder:
        raise ValueError(f"{encoder.path} is no longer the denoiser that was asked for: start again.")
    return load_pretrained(encoder.path).to(device).requires_grad_(False)
