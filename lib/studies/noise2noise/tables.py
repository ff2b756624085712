"""The tables of the report, one row per configuration or method."""

import pandas as pd

from lib.studies.noise2noise.arms import ARMS, points, recipe
from lib.studies.noise2noise.experiments import MILESTONES

YES, NO = {"zh": "是", "en": "yes"}, {"zh": "否", "en": "no"}
SKIPS = {
    "none": {"zh": "无", "en": "none"}, "target": {"zh": "目标图像的", "en": "the target's"},
    "latent": {"zh": "潜表示来源图像的", "en": "the latent's"}, "mixed": {"zh": "两者混合", "en": "a mix of both"},
}  # fmt: skip
PUBLIC = ("psnr_db", "ssim", "detail", "leak", "copy", "corr_target", "corr_latent", "corr_neighbour")


def configurations(config):
    """Return what each configuration of the run is: weights of its last stage, latent, skips, epochs, learning rate."""
    rows = []
    for row in points(config).query("sweep == 'main'").drop_duplicates("arm").itertuples():
        point, recipe = row.point, row.point.recipe
        for number, stage in enumerate(recipe.stages, 1):
            w = stage.weights
            rows.append({
                "config": row.arm, "stage": number, "content": w.content, "recon": w.recon, "cross": w.cross, "edge": w.edge,
                "latent": recipe.latent, "latent_channels": point.latent_channels, "skip_source": SKIPS[recipe.skip_source],
                "same_domain_skip": YES if recipe.same_domain_skip else NO, "epochs": stage.epochs,
                "lr": point.fine_learning_rate if stage.fine else point.learning_rate, "ours": YES if recipe.ours else NO,
            })  # fmt: skip
    return pd.DataFrame(rows)


def settings(config, reported):
    """Return what the document sets and what this run uses, as text: setting, reported, this_run.

    reported: the study's figures in reported.yaml; a configuration that the run does not hold has a dash.
    """
    theirs = reported["configs"]
    rows = [
        ("learning_rate", reported["learning_rate"]["default"], config.learning_rate),
        ("stage2_learning_rate", reported["learning_rate"]["stage_2"], config.stage2_learning_rate),
        ("clip", reported["grad_clip"]["default"], config.clip),
        ("features", theirs["extreme_denoising"]["features"], config.features),
    ]
    rows += [(f"noise_sigma ({n})", theirs[n]["noise_sigma"], config.noise_sigma) for n in ("original", "pure_noise2noise")]
    for name in ("pure_noise2noise", "extreme_denoising", "progressive"):
        stages = [e["epochs"] for key, e in theirs.items() if key.startswith(name)]
        here = [s.epochs for s in recipe(ARMS[name]).lasting(config.epochs).stages] if name in config.configs else None
        rows.append((f"epochs ({name})", *(" + ".join(map(str, n)) if n else "—" for n in (stages, here))))
    return pd.DataFrame([{"setting": k, "reported": f"{v}", "this_run": f"{here}"} for k, v, here in rows])


def comparison(scored, classical_rows):
    """Return mean held-out scores: the noisy image, the classical methods, then every configuration's cross and same output."""
    main = scored[scored.sweep == "main"]
    one = main[(main.path == "cross") & (main.arm == main.arm.iloc[0]) & (main.seed == main.seed.iloc[0])]
    rows = [{"method": "noisy", "path": "none", "psnr_db": one.noisy_psnr_db.mean(), "ssim": one.noisy_ssim.mean()}]
    for method, part in classical_rows.groupby("method", sort=False):
        rows.append({"method": method, "path": "single", **part[["psnr_db", "ssim", "detail"]].mean()})
    for (name, path), part in main.groupby(["arm", "path"], sort=False):
        rows.append({"method": name, "path": path, **part[list(PUBLIC)].mean()})
    return pd.DataFrame(rows)


def milestones(histories, floor):
    """Return the cross loss at the document's milestones per configuration, beside its limit and the noise floor."""
    main = histories[histories.sweep == "main"]
    rows = []
    for name, part in main.groupby("arm", sort=False):
        for epoch, limit in MILESTONES.items():
            found = part[part.epoch == epoch]
            if len(found):
                train, val, psnr = found[["train_cross", "val_cross", "val_psnr_db"]].mean()
                rows.append({
                    "config": name, "epoch": epoch, "train_cross": train, "val_cross": val, "expected": limit,
                    "noise_floor": floor, "val_psnr_db": psnr,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _points(frame, columns):
    """Return the means of some columns at every point (sweep, value, config), over seeds and whatever else it has rows for."""
    grouped = frame.rename(columns={"arm": "config"}).groupby(["sweep", "value", "config"], dropna=False, sort=False)
    return grouped[columns].mean().assign(seeds=grouped.seed.nunique()).reset_index()


def cost_table(costs):
    """Return the costs of every configuration and point of a sweep, averaged over its seeds."""
    return _points(costs, [c for c in costs.columns if c not in ("sweep", "value", "arm", "seed")])


def sweep_table(scored):
    """Return the mean cross scores of every point of the sweeps (empty where the run has none)."""
    part = scored[(scored.sweep != "main") & (scored.path == "cross")]
    return _points(part, [*PUBLIC[:-1], "noisy_psnr_db"])


def diagnosis(found):
    """Return the findings for display: the remedy only where a check failed, in both languages."""
    remedy = [{"zh": "—", "en": "—"} if row.fine else {"zh": row.remedy_zh, "en": row.remedy_en} for row in found.itertuples()]
    state = ["fine" if fine else "failed" for fine in found.fine]
    return pd.DataFrame({
        "config": found.config, "check": [{"zh": row.check_zh, "en": row.check} for row in found.itertuples()],
        "measured": found.value, "limit": found.limit, "state": state, "remedy": remedy,
    })  # fmt: skip
