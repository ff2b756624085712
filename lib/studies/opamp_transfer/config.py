"""Parameters of the study."""

from typing import ClassVar, Literal

from lib.config import NAME, Count, Level, StudyConfig, param
from lib.data import opamp
from lib.models.gp import GPConfig
from lib.steps.opamp.spec import Body, DataSpec, Folds, LabSpec, Recipe, Weights
from lib.train.stacked import StackedConfig

SOURCE_BATCH = 128  # compact recipe: about 70 steps per epoch on 9,000 rows


class Config(StudyConfig):
    """Parameters of `opamp_transfer`: two recipes for networks, the document's and a compact one; defaults suit a smoke run."""

    study: ClassVar[str] = "opamp_transfer"

    opamp: str = param("5t_opamp", "op-amp type: the folder's name", "运放类型（数据文件夹名）", pattern=NAME)
    targets: list[str] = param([], "target columns (empty: all of the file)", "目标列（空：文件中的全部）")
    log_targets: list[str] = param(
        ["slewrate_pos", "dc_gain", "ugf", "cmrr"], "targets modelled as log1p", "以 log1p 建模的目标列"
    )
    resonant: str = param("cmrr", "target with a signed resonant head (empty: none)", "采用带符号谐振头的目标（空：无）")
    val_split: float = param(0.2, "share of the target designs held out for scoring", "目标工艺留出用于评分的比例", gt=0, lt=1)
    source_split: float = param(
        0.1, "share of the source designs held out for choosing", "源工艺留出用于选择的比例", gt=0, lt=1
    )
    splits: int = param(2, "split seeds", "划分种子数", ge=1, le=100)
    inner_folds: int = param(2, "inner validation folds of the training rows", "训练行的内部验证折数", ge=2, le=20)
    members: int = param(1, "networks of each arm that predict together", "每个方法共同预测的网络数", ge=1, le=20)
    raw: Literal["baselines", "all"] = param("baselines", "methods that also run on raw features", "也在原始特征上运行的方法")
    document: bool = param(False, "run the document's recipe beside the compact one", "在紧凑配方之外也运行原文配方")

    ridge_alpha: float = param(0.1, "Ridge penalty", "Ridge 正则强度", gt=0)
    trees: int = param(20, "LightGBM trees", "LightGBM 树数", ge=1)
    gp_steps: int = param(5, "steps to find a Gaussian process's lengths", "高斯过程超参数的优化步数", ge=1)
    gp_rows: int = param(50, "rows to find them on", "优化超参数所用的行数", ge=2)

    hidden: int = param(512, "document's recipe: width", "原文配方：宽度", ge=1)
    layers: int = param(6, "document's recipe: hidden layers", "原文配方：隐藏层数", ge=1)
    dropout: float = param(0.1, "document's recipe: dropout", "原文配方：dropout 比例", ge=0, lt=1)
    lr: float = param(1e-4, "document's recipe: learning rate of AdamW", "原文配方：AdamW 学习率", gt=0, le=1)
    batch_size: int = param(256, "document's recipe: batch size", "原文配方：批大小", ge=1)
    epochs: int = param(50, "document's recipe: epochs at most", "原文配方：最多训练轮数", ge=1)
    patience: int = param(10, "document's recipe: epochs without gain", "原文配方：早停耐心（轮）", ge=1)
    weight_decay: float = param(1e-4, "weight decay of AdamW", "AdamW 权重衰减", ge=0)
    clip: float = param(1.0, "gradient norm clip", "梯度范数裁剪", gt=0)

    compact_hidden: int = param(8, "compact recipe: width", "紧凑配方：宽度", ge=1)
    compact_layers: int = param(2, "compact recipe: hidden layers", "紧凑配方：隐藏层数", ge=1)
    compact_lr: float = param(1e-2, "compact recipe: first learning rate", "紧凑配方：初始学习率", gt=0, le=1)
    compact_batch: int = param(64, "compact recipe: batch size", "紧凑配方：批大小", ge=1)
    compact_epochs: int = param(2, "compact recipe: epochs on the target", "紧凑配方：目标工艺训练轮数", ge=1)
    source_epochs: int = param(1, "compact recipe: epochs on the source", "紧凑配方：源工艺训练轮数", ge=1)

    lambda_coral: float = param(0.05, "weight of the CORAL loss", "CORAL 损失权重", ge=0)
    alpha_r2: float = param(1.0, "weight of the R2 loss", "R² 损失权重", ge=0)
    l2sp: float = param(1e-4, "weight of L2-SP", "L2-SP 权重", ge=0)
    lr_bias: float = param(3e-4, "document's recipe: learning rate of stage 1", "原文配方：阶段一学习率", gt=0, le=1)
    lr_head: float = param(1e-4, "document's recipe: learning rate of stage 2", "原文配方：阶段二学习率", gt=0, le=1)
    lr_unfreeze: float = param(5e-5, "document's recipe: learning rate of stage 3", "原文配方：阶段三学习率", gt=0, le=1)

    lambda_grid: list[Level] = param(
        [0.0, 0.05, 1.0],
        "swept weights of CORAL; the largest is the one that may do harm",
        "扫描的 CORAL 权重；最大的一个用来检验权重过大的害处",
    )
    alpha_grid: list[Level] = param([0.0, 1.0], "swept weights of the R2 loss", "扫描的 R² 权重")
    budgets: list[Count] = param([25, 50], "label budgets", "标注预算", min_length=2)

    inverse_specs: int = param(4, "held-out designs whose metrics become specifications", "作为设计要求的留出设计数", ge=1)
    inverse_surrogate: Literal["target", "transfer", "published"] = param(
        "target",
        "forward model of the search: an ensemble on target labels alone, one trained on the source first, or the model of `predict`",
        "搜索所用的正向模型：只用目标标注的集成，先在源工艺上训练的集成，或 `predict` 所用的模型",
    )
    inverse_members: int = param(2, "networks of the forward ensemble", "正向集成的网络数", ge=1, le=32)
    inverse_epochs: int = param(4, "epochs of the forward ensemble", "正向集成的训练轮数", ge=1)
    inverse_lr: float = param(4e-3, "first learning rate of the forward ensemble", "正向集成的初始学习率", gt=0, le=1)
    inverse_starts: int = param(8, "starts per specification", "每个设计要求的起点数", ge=1)
    inverse_steps: int = param(5, "steps of Adam over the designs", "设计变量的 Adam 步数", ge=0)
    inverse_step_size: float = param(
        0.05, "learning rate of the search, in standard deviations of a feature", "搜索的学习率（以特征标准差为单位）", gt=0
    )
    inverse_prior: float = param(1e-3, "pull of the search towards the centre", "搜索向设计空间中心的先验强度", ge=0)
    inverse_lbfgs: int = param(5, "steps of the L-BFGS finish", "L-BFGS 收尾步数", ge=0)
    inverse_keep: int = param(4, "starts that are finished", "收尾阶段保留的起点数", ge=1)
    inverse_rounds: int = param(
        1,
        "rounds of simulation and correction after the search, where ngspice judges",
        "搜索之后“仿真—修正”的轮数（由 ngspice 评判时）",
        ge=0,
    )
    mdn_train: Literal["target", "source", "both"] = param(
        "target", "rows that train the mixture density network", "混合密度网络的训练行"
    )
    mdn_components: int = param(3, "components of the mixture", "混合成分数", ge=1)
    mdn_hidden: int = param(32, "width of the mixture density network", "混合密度网络宽度", ge=1)
    mdn_layers: int = param(2, "hidden layers of the mixture density network", "混合密度网络隐藏层数", ge=1)
    mdn_batch: int = param(128, "batch size of the mixture density network", "混合密度网络批大小", ge=1)
    mdn_epochs: int = param(2, "epochs of the mixture density network", "混合密度网络训练轮数", ge=1)
    mdn_lr: float = param(1e-3, "learning rate of the mixture density network", "混合密度网络学习率", gt=0, le=1)

    @property
    def few_labels(self) -> int:
        """The label budget of the claim about few labels: the second of the list, or the only one."""
        return self.budgets[:2][-1]

    @property
    def heaviest_coral(self) -> float:
        """The swept weight of CORAL that may do harm."""
        return max(self.lambda_grid)

    def data(self) -> DataSpec:
        """Return what the tables are; ValueError where they are not there."""
        mark = opamp.mark(opamp.folder_of(self.data_dir, self.opamp))
        return DataSpec(self.opamp, tuple(self.targets), tuple(self.log_targets), mark, self.data_dir)

    def lab(self) -> LabSpec:
        """Return all that fits depend on; the parameters of places, of display and of the inverse design are not among it."""
        return LabSpec(
            self.data(), self.source_split, self.resonant, self.seed, Folds(self.splits, self.val_split, self.inner_folds),
            self.compact_recipe(), self.document_recipe(), Weights(self.lambda_coral, self.alpha_r2, self.l2sp),
            self.ridge_alpha, self.trees, GPConfig(self.gp_steps, rows=self.gp_rows),
        )  # fmt: skip

    def document_recipe(self) -> Recipe:
        """Return the document's recipe."""
        train = StackedConfig(
            self.epochs, self.batch_size, self.lr, patience=self.patience, weight_decay=self.weight_decay, clip=self.clip
        )
        body = Body(self.hidden, self.layers, self.dropout, "relu")
        return Recipe(body, train, train, self._rates(1.0), 1.0, self.members)

    def compact_recipe(self) -> Recipe:
        """Return the compact recipe."""
        epochs, source, lr = self.compact_epochs, self.source_epochs, self.compact_lr
        shared = {"weight_decay": self.weight_decay, "clip": self.clip, "patience": 0, "schedule": "cosine", "keep": "last"}
        target = StackedConfig(epochs, self.compact_batch, lr, eval_every=max(1, epochs // 20), **shared)
        body = Body(self.compact_hidden, self.compact_layers, 0.0, "silu")
        source = StackedConfig(source, SOURCE_BATCH, lr / 2, **shared)
        return Recipe(body, source, target, self._rates(lr / self.lr), 0.5, self.members)

    def _rates(self, scale: float) -> tuple[float, float, float]:
        """Return the learning rates of the three stages: the document's, times a scale."""
        bias, head, unfreeze = (min(rate * scale, 1.0) for rate in (self.lr_bias, self.lr_head, self.lr_unfreeze))
        return bias, head, unfreeze
