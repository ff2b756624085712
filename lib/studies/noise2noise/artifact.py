"""The published model: which one it is, and how it is applied to the user's file, in the file's own format and units."""

from pathlib import Path

import numpy as np
import torch

from lib.data.images import object_mask, scale_of
from lib.data.images.files import as_stack, encoded, read_array, suffix
from lib.files import check_output, replacing
from lib.models.shared_latent import DOMAINS
from lib.steps.noise2noise import load_model, save_model
from lib.studies.noise2noise.arms import ARMS, LEAKING, recipe


def choose(trained):
    """Return the row of `main` to publish: the lowest validation cross loss among the configurations that cannot leak.

    A leaking configuration has the lowest loss of all and is no denoiser; it is published only where nothing else ran.
    """
    main = trained[trained.sweep == "main"]
    honest = main[[row.recipe.skip_source not in LEAKING for row in main.point]]
    rows = honest if len(honest) else main
    losses = [t.history.val_cross.min() for t in rows.trained]
    return rows.iloc[losses.index(min(losses))]


def reason(name):
    """Say in both languages why `choose` took the configuration of that name."""
    if recipe(ARMS[name]).skip_source in LEAKING:
        en = "the lowest validation loss; this run holds none that cannot leak"
        return {"zh": "本次运行只有会泄漏的配置，它的验证损失最低", "en": en}
    en = "the lowest validation loss among the configurations that cannot leak"
    return {"zh": "不会泄漏的配置中验证损失最低的一个", "en": en}


def publish(trained, folder, images):
    """Write the chosen model into `folder` and every configuration's first seed into a subfolder; return the choice's name."""
    first = trained[trained.sweep == "main"].groupby("arm", sort=False).head(1)
    chosen = choose(trained)
    for place, row in [(folder, chosen), *((folder / r.arm, r) for _, r in first.iterrows())]:
        noise = {"noise_sigma": row.point.noise_sigma, "noise_kind": row.point.noise_kind}
        save_model(row.trained.model, place, recipe=row.arm, contrasts=list(images.contrasts), seed=row.point.seed, **noise)
    return chosen.arm


def denoise_file(model_dir, source, target, *, domain="a", to="", device="cpu"):
    """Write the denoised images of `source` to `target` and return their shape.

    domain: the contrast that the file shows; to: the contrast that is wanted (empty: the other one, which is the path
    that Noise2Noise trains). Both files: .npy, .png, .nii, .nii.gz, or fastMRI's .h5 in and .npy out.
    Raises ValueError where the model copies its input's noise, and for unreadable files.
    """
    check_output(Path(target), Path(source))
    to = to or DOMAINS[domain == "a"]
    if domain not in DOMAINS or to not in DOMAINS:
        raise ValueError(f"domain is {domain!r} and to is {to!r}: use a or b")
    model = load_model(Path(model_dir)).to(device)
    if model.config.skip_source in LEAKING:
        raise ValueError(
            f"{model_dir}: this model was trained with skip_source {model.config.skip_source!r} and copies the noise of its "
            "input; denoise with a model of skip_source none or latent"
        )
    kind, array = suffix(target, "write"), read_array(source)
    stack = as_stack(array, source)
    scale = scale_of(stack, object_mask(stack))
    images = (translate(model, stack / scale, to, device) * scale).reshape(array.shape)
    with replacing(Path(target)) as temporary:
        temporary.write_bytes(encoded(images, kind, Path(source)))
    return images.shape


@torch.no_grad()
def translate(model, stack, to, device, batch_size=8):
    """Return the images (n, H, W) of domain `to` that the model makes of a stack scaled to 1."""
    batches = (torch.from_numpy(stack[i : i + batch_size, None]).to(device) for i in range(0, len(stack), batch_size))
    return np.concatenate([model.translate(x, to)[:, 0].float().cpu().numpy() for x in batches])
