"""Parameters of the study `vit_scaling`, and the settings of a training that they spell."""

from dataclasses import fields
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from lib.arms import chosen
from lib.config import Count, Level, Positive, Share, StudyConfig, check_files, param
from lib.losses.regression import NAMES as LOSSES
from lib.steps.vit import VitSettings
from lib.studies.vit_scaling.arms import ARMS


class VitScalingConfig(StudyConfig):
    """Parameters of `vit_scaling`; the defaults are the smoke profile's."""

    study: ClassVar[str] = "vit_scaling"
    first: ClassVar[tuple[str, ...]] = ("train_path", "label", "sizes", "epochs", "fresh_sizes", "fresh_epochs", "ablations")

    seed: int = param(42, "random seed", "随机种子", ge=0, lt=2**31)
    train_path: list[str] = param(
        [], "HDF5 file or shards to train on (empty: the grid)", "训练用 HDF5 文件或分片（空：内置网格）"
    )
    val_path: str = param("", "HDF5 file of validation spectra", "验证光谱的 HDF5 文件")
    test_path: str = param("", "HDF5 file of test spectra", "测试光谱的 HDF5 文件")
    grid_path: str = param("", "spectral grid (empty: the embedded synthetic grid)", "光谱网格文件（空：内置合成网格）")
    data_mode: Literal["auto", "device", "memory", "stream"] = param(
        "auto", "where spectra of files are kept", "文件中光谱的存放方式"
    )
    label: str = param("log_g", "label to predict", "预测的标签")
    n_val: int = param(256, "validation spectra", "验证光谱数", ge=16)
    n_test: int = param(512, "test spectra", "测试光谱数", ge=16)
    noise_preset: str = param("mag205_225", "observing conditions: mag215 or mag205_225", "观测条件：mag215 或 mag205_225")
    error_source: Literal["reference", "noisy", "clean"] = param(
        "reference", "whose photons set sigma (see lib.data.noise)", "噪声标准差取自何处（见 lib.data.noise）"
    )
    noise_level: float = param(1.0, "factor on sigma", "噪声倍数", ge=0, le=10)
    window_aa: list[float] = param([8412.0, 8850.0], "wavelength window (empty: all pixels)", "波长窗口（空：全部像素）")

    patch_size: int = param(128, "pixels per token", "每个词元的像素数", ge=1)
    hidden_size: int = param(16, "width of a token", "词元宽度", ge=1)
    num_layers: int = param(1, "encoder blocks", "编码器层数", ge=1)
    num_heads: int = param(2, "attention heads", "注意力头数", ge=1)
    tokenizer: Literal["C1D", "SW"] = param("C1D", "tokenizer of Run 1: C1D or SW", "Run 1 的分块方式：C1D 或 SW")
    pos_encoding: Literal["learned", "rope", "none"] = param("learned", "positions of Run 1", "Run 1 的位置编码")
    pooling: Literal["cls", "mean", "attention"] = param("cls", "pooling of Run 1", "Run 1 的池化")
    init: Literal["trunc02", "reference"] = param("reference", "initialisation of Run 1", "Run 1 的初始化")
    dropout: float = param(0.1, "dropout", "随机失活率", ge=0, lt=1)
    input_scaling: Literal["pixel", "none"] = param(
        "pixel", "pixel: standardise each pixel on training rows", "pixel：按训练样本逐像素标准化"
    )

    loss: str = param("mse", f"loss of Run 1: {', '.join(LOSSES)}", f"Run 1 的损失：{'、'.join(LOSSES)}")
    label_norm: Literal["standard", "minmax"] = param("standard", "label normalisation of Run 1", "Run 1 的标签归一化")
    lr: float = param(2e-3, "learning rate of AdamW", "AdamW 学习率", gt=0, lt=1)
    min_lr: float = param(1e-5, "end of the cosine schedule", "余弦调度的终值", ge=0, lt=1)
    weight_decay: float = param(0.01, "weight decay", "权重衰减", ge=0)
    betas: list[Share] = param([0.9, 0.999], "AdamW's betas", "AdamW 的 beta", min_length=2, max_length=2)
    batch_size: int = param(32, "spectra per step", "每步光谱数", ge=1)
    schedule: Literal["cosine", "constant"] = param("cosine", "learning-rate schedule", "学习率调度")
    warmup_steps: int = param(10, "steps of linear warm-up", "线性预热步数", ge=0)
    clip: float = param(0.5, "gradient clip (0: off)", "梯度裁剪（0：关闭）", ge=0)
    patience: int = param(500, "epochs without gain before stopping", "早停耐心（轮）", ge=1)
    deterministic: bool = param(True, "ask for deterministic kernels", "要求确定性算子")
    compile_model: bool = param(False, "torch.compile the model (GPU)", "用 torch.compile 编译模型（GPU）")
    devices: int = param(1, "devices per node", "每个节点的设备数", ge=1)
    num_nodes: int = param(1, "nodes", "节点数", ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "ddp_spawn", "ddp_notebook"] = param(
        "auto", "Lightning strategy for several devices", "多设备时的 Lightning 策略"
    )
    logger: Literal["csv", "tensorboard", "wandb", "none"] = param(
        "csv", "training log; wandb stays offline", "训练日志；wandb 为离线模式"
    )

    workers: int = param(1, "processes that compute sweep points", "计算扫描点的进程数", ge=1, le=64)
    sizes: list[int] = param([128, 256, 512], "training sizes of the ladder", "规模阶梯的训练样本数", min_length=1)
    epochs: list[Count] = param([2, 2, 2], "epochs at each size", "各规模的训练轮数", min_length=1)
    fresh_sizes: list[Count] = param([512], "sizes also trained with fresh noise", "另用逐轮新噪声训练的规模")
    fresh_epochs: list[Count] = param([2], "epochs at these sizes", "这些规模的训练轮数")
    baseline_copies: int = param(
        2, "noise copies per star of the baselines under fresh noise", "新噪声协议下基线的噪声副本数", ge=1
    )
    repeats: int = param(1, "seeds of the ladder's largest size", "最大规模的随机种子数", ge=1)
    ablations: list[str] = param(["run_2", "tokenizer_sw"], f"arms: {', '.join(ARMS)}", "消融实验的名称")
    ablation_size: int = param(256, "training rows of an ablation", "消融实验的训练样本数", ge=16)
    ablation_epochs: int = param(2, "epochs of an ablation", "消融实验的训练轮数", ge=1)
    noise_levels: list[Level] = param([0.0, 2.0], "noise factors of the sweep", "噪声扫描的倍数")
    noise_size: int = param(256, "training rows of the noise sweep", "噪声扫描的训练样本数", ge=16)
    noise_epochs: int = param(2, "epochs of the noise sweep", "噪声扫描的训练轮数", ge=1)
    lightgbm_leaves: list[Count] = param(
        [15], "LightGBM leaves searched on validation", "在验证集上搜索的 LightGBM 叶数", min_length=1
    )
    lightgbm_rates: list[Positive] = param([0.1], "LightGBM rates searched", "搜索的 LightGBM 学习率", min_length=1)
    lightgbm_rounds: int = param(50, "LightGBM rounds at most; validation stops", "LightGBM 轮数上限（验证早停）", ge=1)
    lightgbm_features: float = param(0.25, "share of pixels per tree", "每棵树使用的像素比例", gt=0, le=1)
    lightgbm_bins: int = param(63, "LightGBM bins per pixel", "LightGBM 每个像素的分箱数", ge=2, le=255)
    ridge_alphas: list[Positive] = param([1.0, 100.0, 10000.0], "Ridge penalties searched", "搜索的 Ridge 惩罚", min_length=1)
    fit_draws: int = param(100, "bootstrap draws behind intervals", "区间所用的自助抽样次数", ge=20)
    ceiling_stars: int = param(64, "test stars behind the Cramer-Rao ceiling", "计算克拉默–拉奥上限的测试星数", ge=16)

    @model_validator(mode="after")
    def _agree(self) -> "VitScalingConfig":
        for sizes, epochs in (("sizes", "epochs"), ("fresh_sizes", "fresh_epochs")):
            if len(getattr(self, sizes)) != len(getattr(self, epochs)):
                raise ValueError(f"'{epochs}' has {len(getattr(self, epochs))} values for {len(getattr(self, sizes))} {sizes}")
        if sorted(set(self.sizes)) != self.sizes or min(self.sizes) < 16:
            raise ValueError(f"'sizes' must grow from at least 16, got {self.sizes}")
        chosen(ARMS, self.ablations, "ablations")
        if self.loss not in LOSSES:
            raise ValueError(f"'loss' is {self.loss!r}; use one of {', '.join(LOSSES)}")
        check_files(self)
        return self

    @property
    def documented_epochs(self) -> int:
        """The epochs of the ViT trained most like the document's: the largest under fresh noise, or fixed where none is."""
        sizes, epochs = (self.fresh_sizes, self.fresh_epochs) if self.fresh_sizes else (self.sizes, self.epochs)
        return epochs[sizes.index(max(sizes))]

    @property
    def n_max(self) -> int:
        """The number of training rows that the largest point needs."""
        noise = self.noise_size if self.noise_levels else 0
        return max(*self.sizes, *self.fresh_sizes, self.ablation_size if self.ablations else 0, noise, 1)


def vit_settings(
    config: VitScalingConfig, *, depth_factor: float = 1, width_factor: float = 1, stride_factor: float = 1, **changes: Any
) -> VitSettings:  # fmt: skip
    """Return the settings of one ViT training: Run 1's, with an arm's changes."""
    given = {f.name: getattr(config, f.name) for f in fields(VitSettings) if f.name != "stride"} | changes
    heads = given["num_heads"]
    return VitSettings(**given | {
        "betas": tuple(given["betas"]),
        "num_layers": max(1, round(given["num_layers"] * depth_factor)),
        "hidden_size": max(heads, round(given["hidden_size"] * width_factor / heads) * heads),
        "stride": max(1, round(given["patch_size"] * stride_factor)),
    })  # fmt: skip
