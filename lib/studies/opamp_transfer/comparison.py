"""Every method on every split: predictions of rows that no fit has seen, calibrated, combined and scored in physical units."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib import calibration
from lib.progress import Progress
from lib.steps.opamp.ablations import score
from lib.steps.opamp.arms import ArmSpec, compare_opamp_arm
from lib.steps.opamp.bench import SCORED, Bench, inner_rmse
from lib.steps.opamp.source import fit_opamp_source, source_spec
from lib.steps.opamp.spec import Arm
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Lab

TOP = 4  # arms of the wide ensembles
STEADY = "ensemble_steady"  # weights by output alone; the other ensembles weigh every row by its precision too
ENSEMBLES = ("ensemble_pair", "ensemble_top", STEADY)
PAIR = ("align_hetero", "target_hetero")  # the document's ensemble


@dataclass(frozen=True)
class Outcome:
    """Predictions (S, n, M) of one method, scaled: inner rows out of their fold, scored rows by the final fit."""

    arm: Arm
    mean: np.ndarray
    raw_sd: np.ndarray
    sd: np.ndarray  # calibrated on inner rows
    inner: np.ndarray  # (S,) mean over outputs of inner squared error / variance
    temperature: np.ndarray  # (S, M)
    members: tuple[Arm, ...] = ()


def arms(config: Config, *, resonant: bool = True) -> list[Arm]:
    """List the arms that the parameters ask for; without an output with a resonant head its arm would be the plain network."""
    base = [Arm(m, "target_only", f, r) for f in ("raw", "physics")
            for m, r in (("ridge", ""), ("lightgbm", ""), ("gp", ""), ("mlp", "compact"))]  # fmt: skip
    own = [Arm("resonant", "target_only")] * resonant + [Arm("target_hetero", "target_only")]
    source = [Arm("ridge", "source_only", recipe=""), Arm("lightgbm", "source_only", recipe=""), Arm("mlp", "source_only"),
              Arm("mlp_affine", "transfer")]  # fmt: skip
    moved = [Arm(m, "transfer") for m in ("fine_tune", "align_hetero", "dual_head", "mlp_source_features")]
    moved += [Arm(m, "transfer", recipe="") for m in ("lightgbm_source_features", "gp_source_features")]
    out = base + own + source + moved
    if config.raw == "all":
        out += [replace(a, features="raw") for a in own + source + moved]
    if config.document:
        which = ("mlp", "target_hetero", "fine_tune", "align_hetero", "dual_head")
        out += [replace(a, recipe="document") for a in out if a.method in which and a.recipe and a.features == "physics"]
    return out


def evaluate(lab: Lab) -> list[Outcome]:
    """Return the outcome of every arm and of both ensembles."""
    chosen = arms(lab.config, resonant=lab.bench.resonant is not None)
    if lab.config.force:  # once, before the arms find them
        for features, how in dict.fromkeys((a.features, a.recipe or "compact") for a in chosen if a.domain != "target_only"):
            lab.folder(fit_opamp_source, source_spec(lab.spec, features, getattr(lab.spec, how)))
    with Progress("methods", len(chosen)) as bar:
        found = []
        for arm in chosen:
            found.append(outcome(arm, lab))
            bar.advance(note=arm.key)
    return found + ensembles(found, lab.bench)


def outcome(arm: Arm, lab: Lab) -> Outcome:
    """Fit and predict one arm on all splits, through the run cache."""
    folder = lab.folder(compare_opamp_arm, ArmSpec(lab.spec.only(*arm.settings), arm, lab.spec.seed))
    with np.load(folder / "predictions.npz") as stored:
        return calibrated(arm, lab.bench, stored["mean"], stored["sd"])


def calibrated(arm: Arm, bench: Bench, mean: np.ndarray, sd: np.ndarray, members: tuple[Arm, ...] = ()) -> Outcome:
    """Scale the standard deviations of every split by its inner rows, and note the inner error."""
    factors, inner = [], []
    for s, folds in enumerate(bench.inner):
        known = folds != SCORED
        factors.append(calibration.quantile_temperature(bench.y[known], mean[s, known], sd[s, known]))
        inner.append((inner_rmse(bench, mean[s], s) ** 2 / bench.y[known].var(0)).mean())
    factors = np.stack(factors)
    return Outcome(arm, mean, sd, sd * factors[:, None], np.array(inner), factors, members)


def ensembles(found: Sequence[Outcome], bench: Bench) -> list[Outcome]:
    """Return the document's pair, and the TOP arms by mean inner error with and without weights per row."""
    usable = candidates(found)
    top = sorted(usable, key=lambda o: o.inner.mean())[:TOP]
    out = [combined("ensemble_top", top, bench), combined(STEADY, top, bench)]
    pair = [o for o in usable if o.arm.method in PAIR and (o.arm.features, o.arm.recipe) == ("physics", "compact")]
    return ([combined("ensemble_pair", pair, bench)] if len(pair) == len(PAIR) else []) + out


def combined(name: str, parts: Sequence[Outcome], bench: Bench) -> Outcome:
    """Combine outcomes per split by calibrated precision per row and inner squared error per output, then calibrate again."""
    mean, sd = [], []
    for s in range(len(bench.inner)):
        errors = np.stack([inner_rmse(bench, o.mean[s], s) ** 2 for o in parts])
        means, sds = np.stack([o.mean[s] for o in parts]), np.stack([o.sd[s] for o in parts])
        both = calibration.combine(means, sds, errors, per_row=name != STEADY)
        mean.append(both[0])
        sd.append(both[1])
    domain = "transfer" if any(o.arm.domain == "transfer" for o in parts) else "target_only"
    arm = Arm(name, domain, "physics", "")
    return calibrated(arm, bench, np.stack(mean), np.stack(sd), tuple(o.arm for o in parts))


def scores(lab: Lab, found: Sequence[Outcome]) -> pd.DataFrame:
    """Score held-out rows in physical units: one row per arm, split and metric, with the coverage before and after."""
    parts = []
    for o in found:
        for s, folds in enumerate(lab.bench.inner):
            rows = np.flatnonzero(folds == SCORED)
            part = score(lab.bench.y_scaler, lab.prepared.target.iloc[rows], o.mean[s, rows], lab.prepared.log_targets)
            y, mean = lab.bench.y[rows], o.mean[s, rows]
            for level in (50, 90):
                part[f"cover_{level}_raw"] = calibration.coverage(y, mean, o.raw_sd[s, rows], level / 100)
                part[f"cover_{level}"] = calibration.coverage(y, mean, o.sd[s, rows], level / 100)
            labels = {"method": o.arm.method, "domain": o.arm.domain, "features": o.arm.features, "recipe": o.arm.recipe}
            parts.append(part.assign(**labels, seed=s, inner=o.inner[s]))
    return pd.concat(parts, ignore_index=True)


def candidates(found: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that may be published: those that have seen target labels, straight lines aside."""
    return [o for o in found if o.arm.domain != "source_only" and o.arm.method != "mlp_affine"]


def best(found: Sequence[Outcome]) -> Outcome:
    """Return the outcome with the lowest inner error, averaged over the splits; scored rows have no say in it."""
    return min(candidates(found), key=lambda o: o.inner.mean())


def held_out(lab: Lab, o: Outcome) -> pd.DataFrame:
    """Return every scored prediction of an outcome: design number, split, metric, truth, prediction and sd, physical units."""
    parts = []
    for s, folds in enumerate(lab.bench.inner):
        rows = np.flatnonzero(folds == SCORED)
        mean, sd = o.mean[s, rows], o.sd[s, rows]
        value, up, down = (lab.bench.y_scaler.inverse(v) for v in (mean, mean + sd, mean - sd))
        for i, name in enumerate(lab.prepared.targets):
            truth = lab.prepared.target[name].to_numpy()[rows]
            columns = {"design": rows, "truth": truth, "prediction": value[:, i], "sd": (up - down)[:, i] / 2}
            parts.append(pd.DataFrame(columns).assign(metric=name, seed=s))
    return pd.concat(parts, ignore_index=True)
