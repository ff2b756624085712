"""The configurations by name: the document's, and four of ours that take its advice apart."""

from lib.losses.images import LossWeights
from lib.steps.noise2noise import Recipe, Stage


def _one(epochs, **weights):
    return (Stage(epochs, LossWeights(**weights)),)


PURE = _one(20, content=1.0, recon=0.2, cross=1.0)
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("original", _one(20, content=0.0, recon=0.0, cross=1.0), skip_source="target"),
        Recipe("pure_noise2noise", PURE),
        Recipe("extreme_denoising", _one(30, content=0.5, recon=0.05, cross=1.0), latent=512),
        Recipe(
            "progressive",
            (
                Stage(10, LossWeights(content=1.0, recon=1.0, cross=0.1)),
                Stage(40, LossWeights(content=0.5, recon=0.1, cross=1.0, edge=0.05), fine=True),
            ),
        ),
        Recipe(
            "no_skip_everywhere",
            _one(20, content=1.0, recon=0.05, cross=1.0),
            latent=512,
            same_domain_skip=False,
            ours=True,
        ),
        Recipe("target_skips", PURE, skip_source="target", ours=True),  # the leak, with the cured weights
        Recipe("latent_skips", PURE, skip_source="latent", ours=True),  # skips that carry no noise of the target
        Recipe("mixed_skips", PURE, skip_source="mixed", ours=True),
        Recipe("pure_long", _one(50, content=1.0, recon=0.2, cross=1.0), ours=True),  # plan B's epochs without its plan
    )
}


def recipe(name):
    """Return the recipe of that name, or raise ValueError with the known ones."""
    if name not in RECIPES:
        raise ValueError(f"configuration {name!r} is unknown: use one of {', '.join(RECIPES)}")
    return RECIPES[name]
