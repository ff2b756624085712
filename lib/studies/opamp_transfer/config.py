"""Parameters of the study."""

from typing import ClassVar

from lib.config import NAME, StudyConfig, param


class Config(StudyConfig):
    """Parameters of `opamp_transfer`; the network's defaults are the smoke profile's, the document's stand in params/full."""

    study: ClassVar[str] = "opamp_transfer"

    opamp: str = param("5t_opamp", "op-amp type: the folder's name", "运放类型（数据文件夹名）", pattern=NAME)
    targets: list[str] = param([], "target columns (empty: all of the file)", "目标列（空：文件中的全部）")
    log_targets: list[str] = param(
        ["slewrate_pos", "dc_gain", "ugf", "cmrr"], "targets modelled as log1p", "以 log1p 建模的目标列"
    )
    val_split: float = param(0.2, "share of the target designs held out for scoring", "目标工艺留出用于评分的比例", gt=0, lt=1)
    inner_split: float = param(
        0.15, "share of the training rows held out for choosing", "训练行中用于选择的内部验证比例", gt=0, lt=1
    )
    splits: int = param(2, "split seeds", "划分种子数", ge=1, le=100)
    ridge_alpha: float = param(1.0, "Ridge penalty", "Ridge 正则强度", gt=0)
    trees: int = param(30, "LightGBM trees", "LightGBM 树数", ge=1)
    hidden: int = param(32, "width of the MLP", "MLP 宽度", ge=1)
    layers: int = param(2, "hidden layers of the MLP", "MLP 隐藏层数", ge=1)
    dropout: float = param(0.0, "dropout", "dropout 比例", ge=0, lt=1)
    lr: float = param(3e-3, "learning rate of AdamW", "AdamW 学习率", gt=0, le=1)
    weight_decay: float = param(1e-4, "weight decay of AdamW", "AdamW 权重衰减", ge=0)
    batch_size: int = param(256, "batch size", "批大小", ge=1)
    epochs: int = param(3, "epochs at most", "最多训练轮数", ge=1)
    patience: int = param(10, "epochs without gain before stopping", "早停耐心（轮）", ge=1)
    clip: float = param(1.0, "gradient norm clip", "梯度范数裁剪", gt=0)
