"""Parameters of the study `mlp_head`."""

from typing import ClassVar, Literal

from pydantic import model_validator

from lib.arms import chosen
from lib.config import NAME, param
from lib.data.parameters import SpectraConfig
from lib.heads import HeadTraining
from lib.models.latent import parse_pooling
from lib.studies.mlp_head.arms import ARMS


class MLPHeadConfig(SpectraConfig):
    """Parameters of `mlp_head`; the defaults are the smoke profile's."""

    study: ClassVar[str] = "mlp_head"

    checkpoint: str = param(
        "",
        "denoiser weights (empty: those of latent_extraction's last run)",
        "去噪器权重（空：取 latent_extraction 最近一次运行）",
    )
    real_path: str = param("", "HDF5 file of real spectra to predict (empty: none)", "要预测的实测光谱 HDF5 文件（空：无）")
    run_name: str = param("frozen_enc_pre_latent_seg_mean_K8", "name of the run, in the results", "运行名称", pattern=NAME)
    layer: str = param("enc_pre_latent", "layer the head reads", "预测头读取的层")
    pooling: str = param("seg_mean_K8", "pooling of the latent", "潜表示的池化")
    direction: Literal["forward", "mean", "concat"] = param(
        "mean", "how the two reading directions are merged", "两个读取方向的合并方式"
    )
    edges: Literal["adaptive", "legacy"] = param("adaptive", "edges of segments", "分段边界")
    hidden: int = param(256, "width of the hidden layer", "隐藏层宽度", ge=1)
    dropout: float = param(0.1, "dropout", "随机失活率", ge=0, lt=1)
    learning_rate: float = param(1e-3, "learning rate of AdamW", "AdamW 学习率", gt=0, lt=1)
    weight_decay: float = param(1e-4, "weight decay", "权重衰减", ge=0)
    batch_size: int = param(256, "spectra per step", "每步光谱数", ge=2)
    epochs: int = param(5, "epochs at most", "最多训练轮数", ge=1)
    stop_patience: int = param(15, "epochs without gain before stopping", "早停耐心（轮）", ge=1)
    clip: float = param(0.5, "gradient clip", "梯度裁剪", gt=0)
    realisations: int = param(
        2, "cached noise realisations of the latents (0: drawn anew every epoch)", "缓存的噪声样本数（0：每轮重新抽取）", ge=0
    )
    arms: list[str] = param(["cells", "linear"], f"follow-ups: {', '.join(ARMS)}", "后续实验")
    arm_epochs: int = param(3, "epochs of a follow-up", "后续实验的训练轮数", ge=1)
    head_seeds: int = param(
        5, "training seeds behind a comparison of two heads", "比较两个预测头时所用的训练种子数", ge=2, le=100
    )
    folds: int = param(5, "folds of the cross-validation", "交叉验证折数", ge=2, le=20)
    unfrozen_rate: float = param(1e-4, "learning rate of the unfrozen encoder", "解冻编码器的学习率", gt=0, lt=1)
    n_boot: int = param(200, "bootstrap draws behind an interval", "区间所用的自助抽样次数", ge=50)

    @model_validator(mode="after")
    def _agree(self) -> "MLPHeadConfig":
        self.check_spectra()
        parse_pooling(self.pooling)
        chosen(ARMS, self.arms)
        return self

    def training(self, **changes: object) -> HeadTraining:
        """Return how the head is trained, with some fields changed."""
        names = ("epochs", "batch_size", "learning_rate", "weight_decay", "stop_patience", "clip")
        return HeadTraining(**{name: getattr(self, name) for name in names} | changes)
