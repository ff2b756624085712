"""From trained heads to the tables, gains and answers that the report shows; intervals are 95 %."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from lib import metrics
from lib.latents import Cell
from lib.probes import gain, score
from lib.studies.mlp_head.experiments import Trained

DOCUMENTS = tuple(
    (layer, pooling) for layer in ("enc_pre_latent", "enc_last") for pooling in ("global_mean", "mean_max", "seg_mean_K8")
)
Shown = dict[str, float]
Judged = dict[str, Any]  # value, low, high; or value None and why_not


def scored(y: np.ndarray, pred: np.ndarray, n_boot: int, seed: int) -> dict[str, float]:
    """Return test R2 with its interval, RMSE, MAE and MSE."""
    return score(y, pred, n_boot=n_boot, seed=seed) | {"test_mse": float(metrics.mse(y, pred))}


def results(y: np.ndarray, methods: dict[str, np.ndarray], *, n_boot: int, seed: int, run_name: str) -> pd.DataFrame:
    """Return one row per method: scores on the test set, and the gain over Ridge (the first) with its paired interval."""
    first = next(iter(methods.values()))
    rows = []
    for name, pred in methods.items():
        found = gain(y, pred, first, n_boot=n_boot, seed=seed)
        rows.append({"run_name": run_name, "method": name, **scored(y, pred, n_boot, seed), **found})
    return pd.DataFrame(rows)


def cells_table(y: np.ndarray, ridges: dict[Cell, np.ndarray], heads: dict[Cell, np.ndarray], n_boot: int) -> pd.DataFrame:
    """Return layer x pooling: Ridge and MLP test R2 on the same features and the gain with its paired interval."""
    rows = []
    for cell, pred in ridges.items():
        row = {"layer": cell[0], "pooling": cell[1], "ridge_r2": float(metrics.r2(y, pred))}
        if cell in heads:
            row |= {"mlp_r2": float(metrics.r2(y, heads[cell])), **gain(y, heads[cell], pred, n_boot=n_boot)}
        rows.append(row)
    return pd.DataFrame(rows)


def history_table(history: pd.DataFrame, reported: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Return validation scores at the documents' epochs (those that this run reached) beside the reported R2."""
    rows = history.set_index("epoch")
    known = [row for row in reported if row[0] in rows.index]
    table = rows.loc[[row[0] for row in known], ["val_r2", "val_rmse", "val_mae"]].reset_index()
    return table.assign(reported_val_r2=[row[1] for row in known])


def best_epoch(history: pd.DataFrame) -> int:
    """Return the epoch of the best validation R2."""
    return int(history.epoch[history.val_r2.idxmax()])


def first_past(history: pd.DataFrame, ridge_r2: float) -> int | None:
    """Return the first epoch whose validation R2 exceeds Ridge's on the same rows; None if none does."""
    past = history[history.val_r2 > ridge_r2]
    return int(past.epoch.iloc[0]) if len(past) else None


def gain_of(table: pd.DataFrame, method: str) -> Shown:
    """Return value, low, high of a method's gain over Ridge."""
    row = table[table.method == method].iloc[0]
    return {"value": row.gain, "low": row.gain_low, "high": row.gain_high}


def r2_of(table: pd.DataFrame, method: str) -> Shown:
    """Return value, low, high of a method's test R2."""
    row = table[table.method == method].iloc[0]
    return {"value": row.test_r2, "low": row.test_r2_low, "high": row.test_r2_high}


def gain_percent(table: pd.DataFrame, method: str) -> float | None:
    """Return a method's gain in percent of Ridge's R2; None where that is not positive."""
    ridge, row = table.iloc[0], table[table.method == method].iloc[0]
    return float(100 * row.gain / ridge.test_r2) if ridge.test_r2 > 0 else None


def against(y: np.ndarray, one: Trained, other: Trained, n_boot: int) -> Shown:
    """Return R2 of one head - R2 of another on the test rows, with its paired interval."""
    found = gain(y, one.pred["test"], other.pred["test"], n_boot=n_boot)
    return {"value": found["gain"], "low": found["gain_low"], "high": found["gain_high"]}


def spread(folds: pd.DataFrame) -> Shown:
    """Return mean, low, high of the folds' held-out R2 by Student's t."""
    mean, low, high = metrics.t_interval(folds.held_r2)
    return {"value": mean, "low": low, "high": high}


def long_history(histories: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the histories of several heads as one long frame: method, epoch, val_r2, val_rmse, val_mae."""
    columns = ["epoch", "val_r2", "val_rmse", "val_mae", "train_loss"]
    frames: list[Any] = [h.reindex(columns=columns).assign(method=name) for name, h in histories.items()]
    return pd.concat(frames, ignore_index=True)


def r2(y: np.ndarray, pred: np.ndarray) -> float:
    """Return the coefficient of determination as a plain number."""
    return float(metrics.r2(y, pred))


def prediction_frame(y: np.ndarray, ridge: np.ndarray, mlp: np.ndarray) -> pd.DataFrame:
    """Return truth and both predictions, one row per test star."""
    return pd.DataFrame({"truth": y, "ridge": ridge, "mlp": mlp})


def arm_gain(y: np.ndarray, others: dict[str, Trained], arm: str, main: Trained, n_boot: int) -> Judged:
    """Return R2 of a follow-up - R2 of the main head, with its paired interval; untested where the arm was not trained."""
    return against(y, others[arm], main, n_boot) if arm in others else untrained(arm)


def untrained(arm: str) -> Judged:
    """Return why an arm is not judged: this profile does not train it."""
    return {"value": None, "why_not": {"zh": f"本运行档没有训练这个分支（参数 `arms` 中的 `{arm}`）。", "en": f"This profile does not train that arm (`{arm}` in the parameter `arms`)."}}  # fmt: skip


def repeated_gain(y: np.ndarray, repeated: dict[str, np.ndarray], arm: str, n_boot: int) -> Judged:
    """Return R2 of a follow-up - R2 of the main head, the mean over training seeds; the interval holds seeds and test stars.

    repeated  test predictions (S, n) by name, from `repeats`; untested where the arm was not trained
    """
    if arm not in repeated:
        return untrained(arm)
    value, low, high = metrics.repeated_difference(metrics.r2, y, repeated[arm], repeated["mlp"], n=n_boot)
    return {"value": value, "low": low, "high": high}


def beyond_linear(y: np.ndarray, others: dict[str, Trained], main: Trained, ridge: np.ndarray, n_boot: int) -> Judged:
    """Return R2 of the main head - R2 of the better linear model, Ridge or a linear head trained alike; untested without the latter."""
    missing = arm_gain(y, others, "linear", main, n_boot)
    if missing["value"] is None:
        return missing
    linear = {"linear": others["linear"].pred["test"], "ridge": ridge}
    name = max(linear, key=lambda k: r2(y, linear[k]))
    found = gain(y, main.pred["test"], linear[name], n_boot=n_boot)
    return {"value": found["gain"], "low": found["gain_low"], "high": found["gain_high"], "rival": name}


def half_width(folds: pd.DataFrame) -> Judged:
    """Return half the width of the interval of the folds' held-out R2; untested without folds."""
    if folds.empty:
        return {"value": None, "why_not": {"zh": "本运行档不做交叉验证（参数 `arms` 中的 `folds`）。", "en": "This profile does no cross-validation (`folds` in the parameter `arms`)."}}  # fmt: skip
    found = spread(folds)
    return {"value": (found["high"] - found["low"]) / 2}


def at_once(history: pd.DataFrame) -> Judged:
    """Return the validation R2 after the first epoch as a share of the best; untested where the best is not positive."""
    best = float(history.val_r2.max())
    if best <= 0:
        return {"value": None, "why_not": {"zh": "验证 R² 始终不为正。", "en": "Validation R² is never positive."}}
    return {"value": after(history, 1) / best}


def after(history: pd.DataFrame, epoch: int) -> float:
    """Return the validation R2 after an epoch."""
    return float(history.val_r2[history.epoch == epoch].iloc[0])


def late_drop(history: pd.DataFrame, epoch: int) -> Judged:
    """Return the largest drop of validation R2 from one epoch to the next after `epoch`; untested where the training is shorter."""
    late = history[history.epoch > epoch].sort_values("epoch").val_r2
    if len(late) < epoch:
        return _too_short(2 * epoch)
    return {"value": max(0.0, float(-late.diff().min()))}


def _too_short(epochs: int) -> Judged:
    said = {
        "zh": f"训练不到 {epochs} 轮（参数 `epochs`）。",
        "en": f"The training has fewer than {epochs} epochs (parameter `epochs`).",
    }
    return {"value": None, "why_not": said}


def early_share(history: pd.DataFrame, epoch: int) -> Judged:
    """Return the share of the rise of validation R2, from the first epoch to the best, that the epochs up to `epoch` bring."""
    if history.epoch.max() < 2 * epoch:
        return _too_short(2 * epoch)
    first, early = after(history, 1), history[history.epoch.between(1, epoch)].val_r2.max()
    best = history.val_r2.max()
    if best <= first:
        return {
            "value": None,
            "why_not": {"zh": "第一轮之后验证 R² 不再提高。", "en": "Validation R² does not rise after the first epoch."},
        }
    return {"value": float((early - first) / (best - first))}


def ahead_of_ridge(history: pd.DataFrame, epoch: int, ridge_r2: float) -> Judged:
    """Return the best validation R2 up to an epoch - Ridge's on the same rows; untested where the training ends before."""
    if history.epoch.max() < epoch:
        return _too_short(epoch)
    return {"value": float(history[history.epoch <= epoch].val_r2.max() - ridge_r2)}


def parameters(main: Trained) -> int:
    """Return the number of trained parameters of a head, its standardisation left out."""
    state = load_file(main.folder / "head.safetensors")
    return sum(value.numel() for name, value in state.items() if name.startswith("head."))
