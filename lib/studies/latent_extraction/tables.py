"""From long results to the tables, effects and answers that the report shows; intervals are 95 %."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib import metrics
from lib.latents import FUSED, Cell
from lib.probes import gain
from lib.studies.latent_extraction.experiments import GLOBAL, LAST, PRE, SEGMENTS, Probed

SCORES = ["dim", "train_r2", "val_r2", "test_r2", "test_r2_low", "test_r2_high", "test_mae", "test_rmse"]
PUBLIC = {"t_eff": "teff_r2", "m_h": "mh_r2"}  # where the public log of the earlier probe keeps a label
Shown = dict[str, float]  # value, low, high


def of(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows where every named column has the given value."""
    for name, value in where.items():
        table = table[table[name] == value]
    return table


def layer_pooling(table: pd.DataFrame, label: str = "log_g") -> pd.DataFrame:
    """Return layer x pooling for one label, Ridge."""
    return of(table, label=label, probe="ridge")[["layer", "pooling", *SCORES]].reset_index(drop=True)


def with_reported(table: pd.DataFrame, reported: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Put the documents' test R2 (rows: layer, pooling, dim, train R2, test R2, ...) beside this run's."""
    known = {(row[0], row[1]): row[4] for row in reported}
    found = [known.get(cell, np.nan) for cell in zip(table.layer, table.pooling, strict=True)]
    return table.assign(reported_r2=found)


def variants(table: pd.DataFrame, trees: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the documents' variants V0-V5 with their Ridge scores and, where it was run, LightGBM's test R2."""
    cells = variant_cells(table)
    ridge = layer_pooling(table).set_index(["layer", "pooling"])
    rows = [{"variant": name, "layer": c[0], "pooling": c[1], **ridge.loc[c].to_dict()} for name, c in cells.items()]
    found = pd.DataFrame(rows).astype({"dim": int})
    if trees is None or trees.empty:
        return found
    scored = of(trees, label="log_g").set_index(["layer", "pooling"]).test_r2
    return found.assign(lightgbm_r2=[scored.get(c, np.nan) for c in cells.values()])


def variant_cells(table: pd.DataFrame) -> dict[str, Cell]:
    """Return the cells of V0-V5 that the table holds; the middle layer is half of the depth."""
    have = set(zip(table.layer, table.pooling, strict=True))
    middle = f"layer{(sum(name.startswith('layer') for name in table.layer.unique()) + 1) // 2}"
    named = {
        "V0": (LAST, GLOBAL), "V1": (middle, GLOBAL), "V2": (LAST, "mean_max"), "V3": (LAST, SEGMENTS),
        "V4": (LAST, "seg_mean_K16"), "V4_K32": (LAST, "seg_mean_K32"), "V5": FUSED,
    }  # fmt: skip
    return {name: cell for name, cell in named.items() if cell in have}


def chosen(table: pd.DataFrame, label: str = "log_g") -> pd.Series:
    """Return the row that is best on the validation rows; it is then read off on the test rows."""
    rows = of(table, label=label, probe="ridge")
    return rows.loc[rows.val_r2.idxmax()]


def r2_shown(row: pd.Series) -> Shown:
    """Return value, low, high of a row's test R2."""
    return {"value": row.test_r2, "low": row.test_r2_low, "high": row.test_r2_high}


def compare(probed: Probed, y: np.ndarray, column: int, better: Cell, baseline: Cell, n_boot: int = 1000) -> dict[str, Any]:
    """Return R2 of two cells on one label, the gain with its paired interval, and the gain in percent of the baseline."""
    pred, base = (probed.predictions[cell][:, column] for cell in (better, baseline))
    found = gain(y[:, column], pred, base, n_boot=n_boot)
    base_r2 = float(metrics.r2(y[:, column], base))
    names = {"better": "/".join(better), "baseline": "/".join(baseline), "baseline_r2": base_r2}
    percent = 100 * found["gain"] / base_r2 if base_r2 > 0 else np.nan
    return names | {"better_r2": base_r2 + found["gain"], **found, "gain_pct": percent}


def decomposition(probed: Probed, y: np.ndarray, column: int) -> pd.DataFrame:
    """Return what changing the layer, the pooling, or both gives."""
    pairs = {
        "layer_only": ((PRE, SEGMENTS), (LAST, SEGMENTS)),
        "pooling_only": ((PRE, SEGMENTS), (PRE, GLOBAL)),
        "mean_max_only": ((PRE, "mean_max"), (PRE, GLOBAL)),
        "both": ((PRE, SEGMENTS), (LAST, GLOBAL)),
    }
    return pd.DataFrame([{"effect": name, **compare(probed, y, column, *cells)} for name, cells in pairs.items()])


def questions(probed: Probed, y: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Answer Q1-Q4 by paired gains on log g; Q5 by whether the best cell differs between labels."""
    column = labels.index("log_g")
    cells = variant_cells(probed.table)
    rows = of(layer_pooling(probed.table), pooling=SEGMENTS)
    best = (rows.loc[rows.val_r2.idxmax()].layer, SEGMENTS)
    pairs = {
        "Q1": (best, (LAST, SEGMENTS)), "Q2": (cells["V2"], cells["V0"]), "Q3": (cells["V3"], cells["V0"]),
        "Q4": (cells["V1"], cells["V0"]),
    }  # fmt: skip
    found = [{"question": name, **compare(probed, y, column, *pair)} for name, pair in pairs.items()]
    for row in found:
        row["answer"] = "yes" if row["gain_low"] > 0 else "no" if row["gain_high"] < 0 else "unclear"
    own = recommended(probed.table)
    layers = set(own.layer)
    gravity, rest = own[own.label == "log_g"].iloc[0], own[own.label != "log_g"]
    other = (rest.iloc[0].layer, rest.iloc[0].pooling) if len(rest) else (gravity.layer, gravity.pooling)
    last = compare(probed, y, column, (gravity.layer, gravity.pooling), other)
    return pd.DataFrame([*found, {"question": "Q5", **last, "answer": "no" if len(layers) > 1 else "yes"}])


def recommended(table: pd.DataFrame) -> pd.DataFrame:
    """Return the cell to use for each label: the smallest within 0.01 of the best validation R2."""
    rows = []
    for label in dict.fromkeys(table.label):
        of_label = of(table, label=label, probe="ridge")
        near = of_label[of_label.val_r2 >= of_label.val_r2.max() - 0.01]
        rows.append(near.sort_values(["dim", "val_r2"], ascending=[True, False]).iloc[0])
    return pd.DataFrame(rows)[["label", "layer", "pooling", *SCORES]].reset_index(drop=True)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Return test R2 by layer, in the order of the computation, for the poolings of the table."""
    order = {name: i for i, name in enumerate(dict.fromkeys(table.layer)) if name not in (FUSED[0], "dec_input")}
    rows = of(table, probe="ridge")
    rows = rows[rows.layer.isin(order)]
    return rows.assign(stage=rows.layer.map(order)).sort_values(["label", "pooling", "stage"]).reset_index(drop=True)


def pattern(probed: Probed, y: np.ndarray, column: int, threshold: float = 0.4) -> dict[str, Any]:
    """Decide the documents' pattern of R2 by layer under the global mean.

    B: no layer reaches the threshold; A: another layer beats the last with an interval above zero; C: the last is best
    or not beaten.
    """
    rows = of(curves(probed.table), label="log_g", pooling=GLOBAL)
    best = rows.loc[rows.val_r2.idxmax()]
    others = rows[rows.layer != LAST]
    other = others.loc[others.val_r2.idxmax()].layer
    against = compare(probed, y, column, (other, GLOBAL), (LAST, GLOBAL))
    name = "B" if best.test_r2 < threshold else "A" if best.layer != LAST and against["gain_low"] > 0 else "C"
    return {
        "pattern": name,
        "layer": best.layer,
        "r2": best.test_r2,
        "other": other,
        **{k: against[k] for k in ("gain", "gain_low", "gain_high")},
    }


def insensitive(
    probed: Probed, y: np.ndarray, labels: Sequence[str], names: Sequence[str] = ("t_eff", "m_h")
) -> dict[str, Any]:
    """Return what segments change against the global mean of the last layer, for the label that changes most."""
    pairs = {n: compare(probed, y, list(labels).index(n), (LAST, SEGMENTS), (LAST, GLOBAL)) for n in names if n in labels}
    name = max(pairs, key=lambda n: abs(pairs[n]["gain"]))
    return shown(pairs[name]) | {"name": name}


def pooling_over_layer(probed: Probed, y: np.ndarray, column: int) -> Shown:
    """Return the gain of the pooling - the gain of the layer.

    Both start from or end at (enc_pre_latent, segments), so that the difference is R2(enc_last, segments) -
    R2(enc_pre_latent, global mean), one paired comparison.
    """
    return shown(compare(probed, y, column, (LAST, SEGMENTS), (PRE, GLOBAL)))


def over_raw(probed: Probed, best: pd.Series, raw: dict[str, np.ndarray], y: np.ndarray, column: int) -> Shown:
    """Return R2 of a cell - R2 of Ridge on the raw flux, on the same stars."""
    pred = probed.predictions[best.layer, best.pooling][:, column]
    return shown(gain(y[:, column], pred, raw["raw_flux"][:, column]))


def with_reported_gain(effects: pd.DataFrame, reported: dict[str, Any]) -> pd.DataFrame:
    """Put the documents' gains in percent beside this run's."""
    keys = {"layer_only": "layer_gain_pct", "pooling_only": "pooling_gain_pct", "mean_max_only": "mean_max_gain_pct"}
    return effects.assign(reported_gain_pct=[reported[keys.get(name, "both_gain_pct")] for name in effects.effect])


def percent(effects: pd.DataFrame, effect: str) -> float | None:
    """Return an effect in percent of its baseline; None where the baseline's R2 is not positive."""
    value = float(of(effects, effect=effect).gain_pct.iloc[0])
    return None if np.isnan(value) else value


def ceiling_of(ceilings: pd.DataFrame, label: str = "log_g") -> float | None:
    """Return the Cramer-Rao ceiling of a label, None where there is none."""
    rows = of(ceilings, label=label)
    return float(rows.r2_max.iloc[0]) if len(rows) else None


def overfitting(row: pd.Series) -> Shown:
    """Return train R2 - test R2 of a row; the interval is the test R2's."""
    return {
        "value": row.train_r2 - row.test_r2, "low": row.train_r2 - row.test_r2_high, "high": row.train_r2 - row.test_r2_low
    }  # fmt: skip


def shown(found: dict[str, Any]) -> Shown:
    """Return value, low, high of a gain."""
    return {"value": found["gain"], "low": found["gain_low"], "high": found["gain_high"]}


def documents(table: pd.DataFrame) -> pd.DataFrame:
    """Return the documents' nine cells: three layers x three poolings."""
    return table[table.layer.isin([PRE, LAST, "dec_input"]) & table.pooling.isin([GLOBAL, "mean_max", SEGMENTS])]


def global_labels(table: pd.DataFrame, labels: Sequence[str] = ("t_eff", "m_h")) -> dict[str, Any]:
    """Return the weaker of T_eff and [M/H] under the documents' plain cell (enc_last, global mean)."""
    rows = of(table, layer=LAST, pooling=GLOBAL, probe="ridge")
    rows = rows[rows.label.isin(labels)]
    worst = rows.loc[rows.test_r2.idxmin()]
    return r2_shown(worst) | {"name": worst.label, "reported_as": f"latent_extraction.public.{PUBLIC[worst.label]}"}


def over_random(probed: Probed, others: dict[int, np.ndarray], y: np.ndarray, column: int) -> dict[str, Any]:
    """Return the smallest gain of the pretrained encoder over the random ones, at enc_pre_latent + seg_mean_K8."""
    own = probed.predictions[PRE, SEGMENTS][:, column]
    gains = [gain(y[:, column], own, pred[:, column]) for pred in others.values()]
    return shown(min(gains, key=lambda g: g["gain"]))
