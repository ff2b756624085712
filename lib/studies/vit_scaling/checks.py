"""What the document says of noise, tokens, labels and attention, checked on the test stars without another training."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats

from lib.arms import Arm
from lib.data.views import observe
from lib.evidence import Measured, absent, measure, why_not
from lib.models.layers import PatchTokenizer
from lib.steps.vit import model_config
from lib.studies.vit_scaling.config import vit_settings
from lib.studies.vit_scaling.results import Results
from lib.studies.vit_scaling.scaling import LEVELS

BINS = 5  # of flux error
DRAWN = 256  # test stars whose noise is drawn twice, or whose sigma is compared with their flux
TOKENIZED = 64  # test spectra on which the two tokenizers are compared


def seen(results: Results, stars: int, start: int = 0):
    """Return test spectra with their noise, sigma and noiseless flux; fewer where the test set ends."""
    return observe(results.sets.test, start, min(start + stars, len(results.truth)))


@measure
def redrawn(results: Results) -> Measured:
    """Return the largest difference between two evaluations' noisy flux of the same test stars."""
    first, again = (seen(results, DRAWN).noisy for _ in range(2))
    return Measured(float((first - again).abs().max()), seeds=0)


@measure
def tokenizer_difference(results: Results) -> Measured:
    """Return the largest difference between tokens of C1D and of SW with equal weights, on noisy test spectra."""
    config = model_config(vit_settings(results.config), len(results.sets.wave))
    conv, linear = (PatchTokenizer(config.hidden_size, config.patch_size, config.step, conv=c).double() for c in (True, False))
    weights = conv.projection.state_dict()
    linear.projection.load_state_dict({"weight": weights["weight"][:, 0], "bias": weights["bias"]})
    noisy = seen(results, TOKENIZED).noisy.double().cpu()
    with torch.no_grad():
        return Measured(float((conv(noisy) - linear(noisy)).abs().max()), seeds=0)


@measure
def outside_labels(results: Results, arm: str) -> Measured:
    """Return the share of an arm's test predictions outside the labels' range in training."""
    point = results.arm(arm)
    if point is None:
        return absent(arm, parameter="ablations")
    pred, labels = results.pred(point), results.sets.train.labels
    return Measured(float(((pred < float(labels.min())) | (pred > float(labels.max()))).mean()))


@measure
def precision_ratio(results: Results, column: str) -> Measured:
    """Return a cost in mixed precision over that in fp32, on a GPU; says kind: FP16, the document's, or else bf16.

    column  spectra_per_s or peak_mib
    """
    kinds = {"FP32": "precision_fp32", "FP16": "precision_fp16", "bf16": "precision_bf16"}
    found = {kind: results.measured(point)[column] for kind, arm in kinds.items() if (point := results.arm(arm))}
    single, mixed = found.pop("FP32", None), next(iter(found), None)
    if results.sets.train.device.type != "cuda" or not single or not mixed:
        return why_not(
            "需要 GPU 上的混合精度与单精度两个实验（`full` 档）。",
            "It takes a mixed-precision and an fp32 arm on a GPU (profile `full`).",
        )
    return Measured(found[mixed] / single).saying(kind=mixed)


@measure
def r2_moved(spaces: pd.DataFrame) -> Measured:
    """Return how far R2 differs between spaces of the label; spaces: r2, one row per space."""
    return Measured(float(spaces.r2.max() - spaces.r2.min()))


@measure
def dex_per_unit(results: Results, point: Arm) -> Measured:
    """Return the label's standard deviation less one; says std, and a point's MAE in dex and normalised."""
    row = results.row(point)
    return Measured(results.label_std - 1).saying(std=results.label_std, dex=row.mae_dex, norm=row.mae_normalized)


def mean_sigma(results: Results) -> np.ndarray:
    """Return the mean flux error of each test star over its pixels (n,), in the unit of the flux."""
    parts = [seen(results, 512, start).sigma.mean(1) for start in range(0, len(results.truth), 512)]
    return torch.cat(parts).cpu().numpy()


@measure
def flux_error_correlation(results: Results, point: Arm) -> Measured:
    """Return Spearman's correlation of |label residual| with a star's mean flux error, with its interval over stars."""
    error, residual = (stats.rankdata(v) for v in (mean_sigma(results), np.abs(results.truth - results.pred(point))))
    rows = np.random.default_rng(results.config.seed).integers(0, len(error), (results.config.fit_draws, len(error)))
    low, high = np.quantile([np.corrcoef(residual[r], error[r])[0, 1] for r in rows], LEVELS)
    return Measured(float(np.corrcoef(residual, error)[0, 1]), float(low), float(high))


def by_flux_error(results: Results, point: Arm) -> pd.DataFrame:
    """Return a point's MAE per quantile bin of the stars' mean flux error: bin, n, mean_sigma, mae_dex."""
    error = mean_sigma(results)
    which = np.digitize(error, np.quantile(error, np.linspace(0, 1, BINS + 1)[1:-1]))
    stars = pd.DataFrame({"bin": which + 1, "sigma": error.astype(float), "off": abs(results.truth - results.pred(point))})
    found = stars.groupby("bin").agg(n=("off", "size"), mean_sigma=("sigma", "mean"), mae_dex=("off", "mean"))
    return found.reset_index()


@measure
def sigma_follows_flux(results: Results) -> Measured:
    """Return the size of Spearman's correlation of sigma with flux over a star's pixels, mean over test stars.

    Not tested where sigma is that of a reference star: it is the same whatever the star's own flux.
    """
    if results.sets.grid is not None and results.config.error_source == "reference":
        return why_not(
            "默认的噪声标准差取自参考星，与各星自身的流量无关（参数 `error_source` 取 `clean` 或 `noisy` 时可检验）。",
            "By default sigma is taken from a reference star, whatever a star's own flux (testable with `clean` or `noisy` for "
            "the parameter `error_source`).",
        )
    spectra = seen(results, DRAWN)
    pairs = zip(spectra.sigma.cpu().numpy(), spectra.flux.cpu().numpy(), strict=True)
    return Measured(float(abs(np.mean([stats.spearmanr(sigma, flux).statistic for sigma, flux in pairs]))), seeds=0)


@measure
def attention_ratio(attention: pd.DataFrame, features: Sequence[tuple[str, float]]) -> Measured:
    """Return mean attention of the patches that hold a gravity-sensitive feature over that of the others; says patches and of.

    attention  wave_aa (patch centre), layer, attention;  features: (name, wavelength in Angstrom)
    """
    mean = attention.groupby("wave_aa").attention.mean()
    held = np.unique([np.abs(mean.index.to_numpy() - wave).argmin() for _, wave in features])
    if not 0 < len(held) < len(mean):
        return why_not(
            "窗口内的小块全部含有或全部不含敏感谱线（参数 `patch_size`、`window_aa`）。",
            "All patches of the window hold a sensitive feature, or none does (parameters `patch_size`, `window_aa`).",
        )
    inside = np.isin(np.arange(len(mean)), held)
    return Measured(float(mean[inside].mean() / mean[~inside].mean())).saying(patches=len(held), of=len(mean))
