"""What the steps depend on: data, splits and recipes, as frozen values; a step's spec holds those that it reads and no others."""

from dataclasses import dataclass, fields, replace
from typing import Self

from lib.models.gp import GPConfig
from lib.models.opamp import OpampNetConfig
from lib.steps import place
from lib.train.stacked import StackedConfig


@dataclass(frozen=True)
class DataSpec:
    """Tables of one op-amp; a target of `log_targets` that they do not have is passed over."""

    opamp: str
    targets: tuple[str, ...]  # empty: all of the file
    log_targets: tuple[str, ...]  # modelled as log1p
    fingerprint: str
    data_dir: str = place(default="")  # empty: the embedded tables


@dataclass(frozen=True)
class Folds:
    """Splits of the target designs."""

    splits: int
    held: float  # share held out for scoring
    inner: int  # validation folds of the rest


@dataclass(frozen=True)
class Body:
    """Hidden part of a network."""

    hidden: int
    layers: int
    dropout: float
    activation: str

    def sizes(self, in_dim: int, out_dim: int, resonant: int | None) -> OpampNetConfig:
        """Return the whole network's sizes."""
        return OpampNetConfig(in_dim, out_dim, self.hidden, self.layers, self.dropout, self.activation, resonant)


@dataclass(frozen=True)
class Recipe:
    """Sizes and training of networks: the document's, or a compact one that runs to its end with a falling rate."""

    body: Body
    source: StackedConfig
    target: StackedConfig
    stage_rates: tuple[float, float, float]  # of the two-headed network
    stage_share: float  # of the epochs: how long a stage takes
    members: int  # networks that predict together

    @property
    def stage_epochs(self) -> int:
        """Epochs of one stage."""
        return max(1, int(self.target.epochs * self.stage_share))

    def lasting(self, epochs: int) -> Self:
        """Return the recipe with so many epochs on the target, validated twenty times at most."""
        return replace(self, target=replace(self.target, epochs=epochs, eval_every=max(1, epochs // 20)))


@dataclass(frozen=True)
class Weights:
    """What the terms of a loss weigh."""

    coral: float
    r2: float
    l2sp: float


@dataclass(frozen=True)
class LabSpec:
    """Data, splits, and the settings of every kind of fit; None: not read by the step."""

    data: DataSpec
    source_split: float  # share of the source designs that networks of the source are chosen by
    resonant: str  # target with a resonant head (empty: none)
    seed: int
    folds: Folds | None = None
    compact: Recipe | None = None
    document: Recipe | None = None
    weights: Weights | None = None
    ridge_alpha: float | None = None
    trees: int | None = None
    gp: GPConfig | None = None

    def only(self, *names: str) -> Self:
        """Return the spec with those settings alone: what a step does not read is no part of its key."""
        optional = {f.name for f in fields(self) if f.default is None}
        return replace(self, **dict.fromkeys(optional - set(names)))


@dataclass(frozen=True)
class Method:
    """How a method is fitted: its family, and for networks which ones and what they start from."""

    family: str  # ridge, lightgbm, gp, network, or source: the source networks behind a straight line
    network: str = ""  # mlp, hetero or dual
    moved: bool = False  # its networks start from those of the source
    reads_source: bool = False  # its features hold the predictions of the source networks


METHODS = {
    "ridge": Method("ridge"), "lightgbm": Method("lightgbm"), "gp": Method("gp"),
    "mlp": Method("network", "mlp"), "resonant": Method("network", "mlp"), "target_hetero": Method("network", "hetero"),
    "mlp_affine": Method("source"), "fine_tune": Method("network", "mlp", moved=True),
    "align_hetero": Method("network", "hetero", moved=True), "dual_head": Method("network", "dual", moved=True),
    "mlp_source_features": Method("network", "mlp", reads_source=True),
    "lightgbm_source_features": Method("lightgbm", reads_source=True), "gp_source_features": Method("gp", reads_source=True),
}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One method on one feature set with one recipe: what a fit is keyed by, and what a model folder says of its members.

    `domain` tells which labels it has seen. It is no row of `lib.arms`: all run with the same parameters of the study.
    """

    method: str
    domain: str  # source_only, target_only or transfer
    features: str = "physics"
    recipe: str = "compact"  # networks only; "" for the others

    @property
    def key(self) -> str:
        """A name for files."""
        return "-".join(filter(None, (self.method, self.domain, self.features, self.recipe)))

    @property
    def how(self) -> Method:
        """How its method is fitted."""
        return METHODS[self.method]

    @property
    def settings(self) -> list[str]:
        """The settings of a `LabSpec` that fits of this method read."""
        classical = {"ridge": "ridge_alpha", "lightgbm": "trees", "gp": "gp"}.get(self.how.family, "")
        networks = self.recipe or ("compact" if self.how.reads_source else "")
        weights = "weights" if self.how.network in ("hetero", "dual") else ""
        return ["folds", *filter(None, (classical, networks, weights))]
