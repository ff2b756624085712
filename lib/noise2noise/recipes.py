"""The configurations by name: the document's, and four of ours that take its advice apart."""

from dataclasses import dataclass, replace

from lib.losses.images import LossWeights


@dataclass(frozen=True)
class Stage:
    """Some epochs with one set of weights; `fine` stages use the smaller learning rate."""

    epochs: int
    weights: LossWeights
    fine: bool = False


@dataclass(frozen=True)
class Recipe:
    """One configuration: its stages, latent size and skips. A stage starts from the best weights of the one before."""

    name: str
    stages: tuple[Stage, ...]
    latent: int = 256
    skip_source: str = "none"
    same_domain_skip: bool = True  # the document's `no_skip` is a strategy of the cross path alone
    alpha: float = 0.5
    ours: bool = False

    @property
    def epochs(self):
        """The epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def lasting(self, epochs):
        """Return this recipe with another number of epochs in all, divided between its stages as before (0: unchanged)."""
        if not epochs:
            return self
        if epochs < len(self.stages):
            raise ValueError(f"{self.name} has {len(self.stages)} stages: {epochs} epochs are too few")
        counts, left = [], epochs
        for number, stage in enumerate(self.stages[:-1]):
            counts.append(max(1, min(round(epochs * stage.epochs / self.epochs), left - (len(self.stages) - 1 - number))))
            left -= counts[-1]
        stages = (replace(stage, epochs=n) for stage, n in zip(self.stages, [*counts, left], strict=True))
        return replace(self, stages=tuple(stages))

    def reweighted(self, **weights):
        """Return this recipe with other loss weights in every stage."""
        stages = tuple(replace(stage, weights=replace(stage.weights, **weights)) for stage in self.stages)
        return replace(self, stages=stages)


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
