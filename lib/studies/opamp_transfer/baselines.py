"""Three simple models, trained on the source process or on the target process, scored on held-out target designs."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import metrics, runs
from lib.data.opamp import Scaler
from lib.files import write_csv
from lib.progress import Progress
from lib.runtime import Runtime
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared, split
from lib.studies.opamp_transfer.models import KINDS, Fit, Fitting, save

DOMAINS = ("source_only", "target_only")


def evaluate(config: Config, prepared: Prepared, runtime: Runtime) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores (method, domain, seed, metric, r2, mae, mse, ln_r2) and out-of-sample predictions of every split.

    Scored rows are target designs that no fit and no choice has seen: early stopping and the choice of the published
    model look at `inner_split` of the training rows only.
    """
    scores, predictions = [], []
    with Progress("baselines", config.splits * len(DOMAINS) * len(KINDS)) as bar:
        for seed in range(config.splits):
            for domain in DOMAINS:
                for kind in KINDS:
                    folder = _one(config, prepared, runtime, kind, domain, seed)
                    scores.append(pd.read_csv(folder / "scores.csv"))
                    predictions.append(pd.read_csv(folder / "predictions.csv"))
                    bar.advance(note=f"{kind} {domain}")
    return pd.concat(scores, ignore_index=True), pd.concat(predictions, ignore_index=True)


def _one(config: Config, prepared: Prepared, runtime: Runtime, kind: str, domain: str, seed: int) -> Path:
    """Fit one model on one split, through the run cache."""
    settings = config.model_dump(exclude={"profile", "out_dir", "data_dir", "force", "lang", "splits", "device", "precision"})
    settings |= {"kind": kind, "domain": domain, "split": seed}

    def compute(folder: Path) -> None:
        train, test = split(prepared.target, config.val_split, seed)
        fitting = fitting_for(config, prepared, domain, train, seed)
        fit = KINDS[kind](fitting, config, runtime, folder)
        rows = prepared.target.iloc[test]
        predicted = fit.predict(rows)
        write_csv(
            folder / "scores.csv",
            score(prepared, rows, predicted).assign(method=kind, domain=domain, seed=seed, inner=fit.inner),
        )
        long = [
            pd.DataFrame({"metric": m, "truth": rows[m].to_numpy(), "prediction": predicted[:, i]})
            for i, m in enumerate(prepared.targets)
        ]
        write_csv(folder / "predictions.csv", pd.concat(long).assign(method=kind, domain=domain, seed=seed))

    return runs.cached(
        "opamp_baseline", compute, config=settings, runtime=runtime, data=prepared.fingerprint, force=config.force
    )


def fitting_for(config: Config, prepared: Prepared, domain: str, train: np.ndarray, seed: int) -> Fitting:
    """Choose training and inner validation rows; scalers are fitted on source training rows only (as the document asks)."""
    source_train, source_inner = split(prepared.source, config.inner_split, seed)
    if domain == "source_only":
        frame, kept, inner = prepared.source, source_train, source_inner
    else:
        frame = prepared.target.iloc[train].reset_index(drop=True)
        frame.attrs = dict(prepared.target.attrs)
        kept, inner = split(frame, config.inner_split, seed)
    fitted_on = prepared.source.iloc[source_train]
    x_scaler = Scaler.fit(fitted_on, prepared.features)
    y_scaler = Scaler.fit(fitted_on, prepared.targets, prepared.log_targets)
    return Fitting(frame.iloc[kept], frame.iloc[inner], x_scaler, y_scaler, seed)


def score(prepared: Prepared, rows: pd.DataFrame, predicted: np.ndarray) -> pd.DataFrame:
    """Score predictions in physical units; ln-R2 for outputs that are modelled as logarithms."""
    out = []
    for i, name in enumerate(prepared.targets):
        y, p = rows[name].to_numpy(), predicted[:, i]
        ln = float(metrics.ln_r2(y, p)) if name in prepared.log_targets else np.nan
        out.append({"metric": name, "r2": metrics.r2(y, p), "mae": metrics.mae(y, p), "mse": metrics.mse(y, p), "ln_r2": ln})
    return pd.DataFrame(out)


def publish_best(config: Config, prepared: Prepared, runtime: Runtime, scores: pd.DataFrame, folder: Path) -> str:
    """Refit the target-only model with the lowest inner validation error on all target rows and save it; return its kind."""
    own = scores[scores.domain == "target_only"].drop_duplicates(["method", "seed"])
    kind = str(own.groupby("method").inner.mean().idxmin())
    rows = np.arange(len(prepared.target))
    fit: Fit = KINDS[kind](fitting_for(config, prepared, "target_only", rows, config.seed), config, runtime, folder / "work")
    save(fit, prepared, folder)
    return kind
