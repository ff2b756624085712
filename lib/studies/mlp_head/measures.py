"""What judges the claims beyond lib.evidence, and the tables that the report shows; intervals are 95 %."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from safetensors.torch import load_file

from lib import evidence, metrics
from lib.evidence import Measured, absent, gap, interval, measure, rows_of, score, too_short, why_not
from lib.steps.head import HEAD
from lib.studies.mlp_head.experiments import Trained


def results(predicted: pd.DataFrame, *, run_name: str, **draws: Any) -> pd.DataFrame:
    """Return one row per method: scores on the test set, and the gain over Ridge with its paired interval."""
    table = evidence.scores(predicted, **draws)
    gains = [gap(predicted, arm, "ridge", **draws) for arm in table.arm]
    mse = [score(predicted, arm, metrics.mse, n=2).value for arm in table.arm]
    shown = table.assign(
        test_mse=mse, gain=[g.value for g in gains], gain_low=[g.low for g in gains], gain_high=[g.high for g in gains]
    )
    shown.insert(0, "run_name", run_name)
    return shown.rename(columns={"arm": "method"})


def cells_table(predicted: pd.DataFrame, **draws: Any) -> pd.DataFrame:
    """Return layer x pooling: Ridge and MLP test R2 on the same features and the gain with its paired interval."""
    rows = []
    for (layer, pooling), part in predicted.groupby(["layer", "pooling"], sort=False):
        row, gain = (
            {"layer": layer, "pooling": pooling, "ridge_r2": score(part, "ridge", n=2).value},
            gap(part, "mlp", "ridge", **draws),
        )
        if gain.value is not None:
            row |= {"mlp_r2": score(part, "mlp", n=2).value, "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
        rows.append(row)
    return pd.DataFrame(rows)


def history_table(history: pd.DataFrame, reported: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Return validation scores at the documents' epochs (those that this run reached) beside the reported R2."""
    rows = history.set_index("epoch")
    known = [row for row in reported if row[0] in rows.index]
    table = rows.loc[[row[0] for row in known], ["val_r2", "val_rmse", "val_mae"]].reset_index()
    return table.assign(reported_val_r2=[row[1] for row in known])


def predicted_table(predicted: pd.DataFrame) -> pd.DataFrame:
    """Return truth and the predictions of Ridge and of the main head, one row per test star."""
    truth = rows_of(predicted, "mlp").truth.to_numpy()
    return pd.DataFrame({"truth": truth} | {arm: rows_of(predicted, arm).pred.to_numpy() for arm in ("ridge", "mlp")})


def best_epoch(history: pd.DataFrame) -> int:
    """Return the epoch of the best validation R2."""
    return int(history.epoch[history.val_r2.idxmax()])


def first_past(history: pd.DataFrame, ridge_r2: float) -> int | None:
    """Return the first epoch whose validation R2 exceeds Ridge's on the same rows; None if none does."""
    past = history[history.val_r2 > ridge_r2]
    return int(past.epoch.iloc[0]) if len(past) else None


def gain_percent(table: pd.DataFrame, method: str = "mlp") -> float | None:
    """Return a method's gain in percent of Ridge's R2; None where that is not positive."""
    ridge, row = (table[table.method == name].iloc[0] for name in ("ridge", method))
    return float(100 * row.gain / ridge.test_r2) if ridge.test_r2 > 0 else None


def parameters(head: Trained) -> int:
    """Return the number of trained parameters of a head, its standardisation left out."""
    return sum(value.numel() for name, value in load_file(head.folder / HEAD).items() if name.startswith("head."))


@measure
def beyond_linear(predicted: pd.DataFrame, **draws: Any) -> Measured:
    """Return R2 of the main head - R2 of the better linear model, Ridge or a linear head trained alike (the fact `rival`)."""
    if rows_of(predicted, "linear").empty:
        return absent("linear")
    rival = max(("linear", "ridge"), key=lambda arm: score(predicted, arm, n=2).value)
    return gap(predicted, "mlp", rival, **draws).saying(rival=rival)


@measure
def half_width(folds: pd.DataFrame) -> Measured:
    """Return half the width of the interval of the folds' held-out R2, by Student's t."""
    if folds.empty:
        return absent("folds")
    found = interval(folds.held_r2)
    return Measured((found.high - found.low) / 2)


@measure
def at_once(history: pd.DataFrame) -> Measured:
    """Return the validation R2 after the first epoch as a share of the best."""
    best = float(history.val_r2.max())
    return (
        Measured(after(history, 1) / best) if best > 0 else why_not("验证 R² 始终不为正。", "Validation R² is never positive.")
    )


@measure
def early_share(history: pd.DataFrame, epoch: int) -> Measured:
    """Return the share of the rise of validation R2, from the first epoch to the best, that the epochs up to `epoch` bring."""
    if history.epoch.max() < 2 * epoch:
        return too_short(int(history.epoch.max()), 2 * epoch)
    first, best = after(history, 1), history.val_r2.max()
    if best <= first:
        return why_not("第一轮之后验证 R² 不再提高。", "Validation R² does not rise after the first epoch.")
    return Measured(float((history[history.epoch.between(1, epoch)].val_r2.max() - first) / (best - first)))


@measure
def late_drop(history: pd.DataFrame, epoch: int) -> Measured:
    """Return the largest drop of validation R2 from one epoch to the next after `epoch`, of at least as many epochs."""
    late = history[history.epoch > epoch].sort_values("epoch").val_r2
    if len(late) < epoch:
        return too_short(int(history.epoch.max()), 2 * epoch)
    return Measured(max(0.0, float(-late.diff().min())))


@measure
def ahead_of_ridge(history: pd.DataFrame, epoch: int, ridge_r2: float) -> Measured:
    """Return the best validation R2 up to an epoch - Ridge's on the same rows."""
    if history.epoch.max() < epoch:
        return too_short(int(history.epoch.max()), epoch)
    return Measured(float(history[history.epoch <= epoch].val_r2.max() - ridge_r2))


def after(history: pd.DataFrame, epoch: int) -> float:
    """Return the validation R2 after an epoch."""
    return float(history.val_r2[history.epoch == epoch].iloc[0])
