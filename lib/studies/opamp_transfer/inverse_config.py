"""Parameters of the study's inverse design; the network's and the search's defaults are a smoke run's."""

from typing import Literal

from lib.config import StudyConfig, param


class InverseParams(StudyConfig):
    """What the inverse design adds to the parameters of `opamp_transfer`."""

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
        "rounds of simulation and correction (where ngspice judges)",
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
