"""Parameters of the study `latent_extraction`."""

from typing import ClassVar, Literal

from pydantic import model_validator

from lib.arms import chosen
from lib.config import param
from lib.data.parameters import SpectraConfig
from lib.denoising import Pretraining
from lib.models.blindspot import BlindSpotConfig
from lib.models.latent import parse_pooling
from lib.studies.latent_extraction.arms import ARMS, GLOBAL, MEAN_MAX, SEGMENTS


class LatentExtractionConfig(SpectraConfig):
    """Parameters of `latent_extraction`; the defaults are the smoke profile's."""

    study: ClassVar[str] = "latent_extraction"

    checkpoint: str = param("", "pretrained denoiser to use (empty: pretrain one)", "使用的预训练去噪器（空：现场预训练）")
    num_layers: int = param(4, "encoder stages", "编码器级数", ge=2, le=12)
    embed_dim: int = param(8, "channels of a stage", "每级通道数", ge=1)
    kernel_size: int = param(9, "taps of a convolution, odd", "卷积核长度（奇数）", ge=1)
    input_sigma: bool = param(True, "noise sigma as a second input", "噪声标准差作为第二输入通道")

    n_pretrain: int = param(512, "stars the denoiser learns from", "去噪器预训练用星数", ge=32)
    loss: Literal["e1", "e2", "t1"] = param("t1", "pretraining loss: e1, e2 or t1", "预训练损失：e1、e2 或 t1")
    epochs: int = param(1, "pretraining epochs", "预训练轮数", ge=1)
    batch_size: int = param(32, "spectra per pretraining step", "预训练每步光谱数", ge=1)
    learning_rate: float = param(3e-3, "pretraining learning rate", "预训练学习率", gt=0, lt=1)
    schedule: Literal["plateau", "onecycle"] = param("onecycle", "learning-rate schedule", "学习率调度")
    clip: float = param(0.0, "gradient clip of pretraining (0: off)", "预训练梯度裁剪（0：关闭）", ge=0)
    sigma_start: float = param(
        0.3,
        "start of the predicted sigma, in units of the noise (0: as initialised)",
        "预测标准差的初值（以噪声为单位；0：不设）",
        ge=0,
    )
    label_weight: float = param(0.0, "weight of the auxiliary label loss", "辅助标签损失的权重", ge=0)
    devices: int = param(1, "devices per node", "每个节点的设备数", ge=1)
    num_nodes: int = param(1, "nodes", "节点数", ge=1)
    strategy: Literal["auto", "ddp", "ddp_notebook"] = param("auto", "Lightning strategy", "Lightning 并行策略")

    poolings: list[str] = param(
        ["global_mean", "mean_max", "seg_mean_K8"], "poolings of the table", "结果表中的池化方式", min_length=1
    )
    direction: Literal["forward", "mean", "concat"] = param(
        "mean", "how the two reading directions are merged", "两个读取方向的合并方式"
    )
    edges: Literal["adaptive", "legacy"] = param("adaptive", "edges of segments", "分段边界")
    arms: list[str] = param(["directions", "lightgbm", "documents_noise"], f"arms: {', '.join(ARMS)}", "实验分支")
    random_seeds: int = param(1, "seeds of the random encoder", "随机编码器的种子数", ge=1)
    arm_epochs: int = param(1, "pretraining epochs of an arm", "分支的预训练轮数", ge=1)
    occlusion_rows: int = param(128, "test spectra of the occlusion", "遮挡实验的测试光谱数", ge=16)
    mlp_epochs: int = param(3, "epochs of the MLP on raw flux", "原始流量 MLP 的训练轮数", ge=1)
    student_epochs: int = param(5, "epochs of the student", "学生网络的训练轮数", ge=1)
    n_boot: int = param(100, "bootstrap draws behind an interval", "区间所用的自助抽样次数", ge=50)
    ceiling_stars: int = param(32, "stars behind the Cramer-Rao ceiling", "计算克拉默–拉奥上限的星数", ge=16)

    @model_validator(mode="after")
    def _agree(self) -> "LatentExtractionConfig":
        self.check_spectra()
        self.model_shape()
        for name in self.poolings:
            parse_pooling(name)
        chosen(ARMS, self.arms)
        absent = [name for name in (GLOBAL, MEAN_MAX, SEGMENTS) if name not in self.poolings]
        if absent:
            raise ValueError(f"'poolings' lacks {absent[0]}, which the documents' comparison needs.")
        return self

    @property
    def model_version(self) -> str:
        """The shape of the denoiser, as the documents write it."""
        return f"l{self.num_layers}e{self.embed_dim}k{self.kernel_size}s{int(self.input_sigma)}bn1"

    def model_shape(self) -> BlindSpotConfig:
        """Return the shape of the denoiser."""
        return BlindSpotConfig(self.num_layers, self.embed_dim, self.kernel_size, self.input_sigma)

    def training(self, **changes: object) -> Pretraining:
        """Return how the denoiser is trained, with some fields changed."""
        names = ("loss", "epochs", "batch_size", "learning_rate", "schedule", "sigma_start", "label_weight")
        return Pretraining(**{name: getattr(self, name) for name in names} | {"clip": self.clip or None} | changes)
