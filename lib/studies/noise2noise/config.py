"""The parameters of the Noise2Noise study."""

from typing import ClassVar, Literal

from pydantic import model_validator

from lib.arms import chosen
from lib.config import Count, Level, StudyConfig, param
from lib.studies.noise2noise.arms import ARMS, recipe


class Config(StudyConfig):
    """Data, noise, sizes, configurations and sweeps."""

    study: ClassVar[str] = "noise2noise"
    first: ClassVar[tuple[str, ...]] = ("pairs", "noise_sigma", "configs", "epochs", "n_seeds")

    pairs: Literal["two_contrast", "same_contrast"] = param(
        "two_contrast", "what a pair is: two contrasts, or one contrast twice", "图像对：两种对比度，或同一对比度采集两次"
    )
    reconstruction: Literal["auto", "rss", "esc"] = param("auto", "which fastMRI reconstruction", "使用 fastMRI 的哪种重建")
    crop: int = param(
        0, "central crop of the user's images, pixels (0: none)", "用户图像的中心裁剪，像素（0 表示不裁剪）", ge=0
    )
    max_shift_px: float = param(
        1.5, "largest displacement between the two contrasts, pixels", "两种对比度之间允许的最大错位，像素", gt=0
    )
    n_train: int = param(8, "training slices (0: all)", "训练切片数（0 表示全部）", ge=0)
    n_val: int = param(2, "validation slices", "验证切片数", ge=1)
    n_test: int = param(3, "test slices", "测试切片数", ge=2)
    noise_kind: Literal["rician", "gaussian"] = param("rician", "kind of acquisition noise", "采集噪声的类型")
    noise_sigma: float = param(
        0.1, "acquisition noise, of the brightest signal", "采集噪声标准差（以最亮信号为 1）", gt=0, le=2
    )
    augment_sigma: float = param(
        0.0, "extra fresh noise on the inputs of training only", "仅在训练输入上每次重新叠加的噪声", ge=0, le=2
    )
    configs: list[str] = param(["original", "pure_noise2noise"], "configurations by name", "按名称选择的配置")
    alpha: float = param(
        0.5, "share of the target's skips in `mixed_skips`", "`mixed_skips` 中目标图像跳跃连接的占比", ge=0, le=1
    )
    epochs: int = param(2, "epochs of every configuration (0: its own)", "每个配置的训练轮数（0 表示采用其自身的轮数）", ge=0)
    n_seeds: int = param(1, "seeds per configuration", "每个配置的随机种子数", ge=1)
    features: list[Count] = param([8, 4], "channels per level, deepest first", "各层通道数，最深层在前", min_length=1)
    latent_scale: float = param(
        0.0625, "latent channels as a share of the documented ones", "潜表示通道数占文档设定的比例", gt=0, le=4
    )
    batch_size: int = param(2, "slices per step, all devices together", "每步的切片数（所有设备合计）", ge=1)
    devices: int = param(1, "devices per node", "每个节点的设备数", ge=1)
    num_nodes: int = param(1, "nodes", "节点数", ge=1)
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = param(
        "auto",
        "Lightning strategy for several devices (auto: ddp_find_unused_parameters_true)",
        "多设备时的 Lightning 策略（auto 即 ddp_find_unused_parameters_true）",
    )
    learning_rate: float = param(3e-4, "learning rate", "学习率", gt=0, le=1)
    stage2_learning_rate: float = param(1e-4, "learning rate of a second stage", "第二阶段的学习率", gt=0, le=1)
    schedule: Literal["constant", "one_cycle"] = param(
        "constant", "learning rate over a stage: constant, or one cycle", "各阶段的学习率：恒定，或单周期（one_cycle）"
    )
    clip: float = param(1.0, "largest gradient norm", "梯度范数上限", gt=0)
    content_kind: Literal["recipe", "absolute", "scale_free"] = param(
        "recipe",
        "content loss: L2 of the latents (absolute), its ratio to their variance (scale_free), or the configuration's own",
        "内容损失：潜表示的 L2（absolute）、其与方差之比（scale_free），或由配置自行决定（recipe）",
    )
    sweep_noise: list[float] = param([], "noise levels of the sweep", "噪声水平扫描")
    sweep_recon: list[Level] = param([], "recon weights of the sweep", "重建权重扫描")
    sweep_content: list[Level] = param([], "content weights of the sweep", "内容权重扫描")
    sweep_latent: list[Count] = param([], "latent channels of the sweep", "潜表示通道数扫描")
    sweep_edge: list[Level] = param([], "edge weights of the sweep", "边缘权重扫描")
    sweep_cross: list[Level] = param([], "cross weights of the sweep", "跨域权重扫描")

    @model_validator(mode="after")
    def _known_configurations(self):
        """Refuse unknown, repeated or missing configurations and epochs too few for their stages."""
        if not self.configs or len(set(self.configs)) != len(self.configs):
            raise ValueError(f"configs is {self.configs}: name each configuration once, and at least one")
        for arm in chosen(ARMS, self.configs, "configs"):
            recipe(arm).lasting(self.epochs)
        if any(not 0 < sigma <= 2 for sigma in self.sweep_noise):
            raise ValueError(f"sweep_noise is {self.sweep_noise}: every noise level must lie in (0, 2]")
        if self.batch_size % (n := self.devices * self.num_nodes):
            raise ValueError(f"batch_size is {self.batch_size}: it must be a multiple of the {n} devices that share it")
        return self

    @property
    def model_version(self) -> str:
        """What the header of a page calls the network."""
        return f"SharedLatentDenoiser, {'-'.join(map(str, self.features))} channels"
