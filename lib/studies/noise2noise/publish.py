"""Choose the model that a run publishes, and write all of them."""

from lib.steps.noise2noise import save_model
from lib.studies.noise2noise.recipes import recipe

LEAKING = ("target", "mixed")


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
    if recipe(name).skip_source in LEAKING:
        return {
            "zh": "本次运行只有会泄漏的配置，它的验证损失最低",
            "en": "the lowest validation loss; this run holds none that cannot leak",
        }
    return {
        "zh": "不会泄漏的配置中验证损失最低的一个",
        "en": "the lowest validation loss among the configurations that cannot leak",
    }


def publish(trained, folder, images):
    """Write the chosen model into `folder` and every configuration's first seed into a subfolder; return the choice's name."""
    first = trained[trained.sweep == "main"].groupby("config", sort=False).head(1)
    chosen = choose(trained)
    for place, row in [(folder, chosen), *((folder / r.config, r) for _, r in first.iterrows())]:
        noise = {"noise_sigma": row.point.noise_sigma, "noise_kind": row.point.noise_kind}
        save_model(row.trained.model, place, recipe=row.config, contrasts=list(images.contrasts), seed=row.point.seed, **noise)
    return chosen.config
