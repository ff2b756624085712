# %% [markdown] tags=["lang-zh"]
# # 噪声会从跳跃连接泄漏吗？怎样才能根治？

# %% [markdown] tags=["lang-en"]
# # Does noise leak through the skips, and what cures it?

# %% tags=["parameters"]
profile = "smoke"
seed = 0
device = "auto"
precision = "auto"
num_threads = 0
out_dir = ""
data_dir = ""
force = False
lang = "zh"
pairs = "two_contrast"
reconstruction = "auto"
crop = 0
max_shift_px = 1.5
n_train = 8
n_val = 2
n_test = 3
noise_kind = "rician"
noise_sigma = 0.1
augment_sigma = 0.0
configs = ["original", "pure_noise2noise"]
alpha = 0.5
epochs = 2
n_seeds = 1
features = [8, 4]
latent_scale = 0.0625
batch_size = 2
devices = 1
num_nodes = 1
strategy = "auto"
learning_rate = 0.0003
stage2_learning_rate = 0.0001
schedule = "constant"
clip = 1.0
content_kind = "recipe"
sweep_noise = []
sweep_recon = []
sweep_content = []
sweep_latent = []
sweep_edge = []
sweep_cross = []

# %%
from lib import runtime as rt
from lib.explore import explore
from lib.plots import noise2noise as plots
from lib.report import Criterion, Report, pair, reported
from lib.studies import noise2noise as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %%
report = Report(
    config,
    title=pair("Noise2Noise 的噪声泄漏", "Noise leakage in Noise2Noise"),
    question=pair(
        "用成对的含噪图像训练去噪网络时，噪声会不会沿跳跃连接漏进输出？哪些配置能根治，又该用什么来判断？",
        "When a denoiser is trained on pairs of noisy images, does noise leak into the output through the skips? Which configurations cure it, and how can one tell?",
    ),
    header={"experiment_id": "N2N-noise-leakage-01", "author": "—", "date": "—", "project": "noise2noise", "topic": "noise leakage",
            "mvp": "shared latent, two decoders",
            "model_version": f"SharedLatentDenoiser, {'-'.join(map(str, config.features))} channels, {study.share_of_weights(config):.2%} of the full profile's weights"},
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 同一解剖结构采集两次，得到一对噪声相互独立的图像。共享编码器把两幅图像映到同一个潜空间，两个解码器各还原一种对比度。
# 跨域输出由对方的潜表示解码，却以自己的含噪图像为目标；只有当输出看不到目标的噪声时，这样训练才能去噪。
# 如果解码时用上了目标图像自己的跳跃连接，这个前提就被破坏了。
#
# 原文给出了一组配置、预期的损失里程碑和一份调试指南，但没有测量值。本研究逐条检验其中的说法。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# One anatomy, acquired twice, gives a pair of images whose noise is independent. A shared encoder maps both into one latent space, and
# two decoders restore one contrast each. A cross-domain output is decoded from the partner's latent, yet its target is the image's own noisy
# acquisition: such training removes noise only as long as the output cannot see the noise of its target. Skips of the target image break that premise.
#
# The document gives configurations, expected milestones of the loss and a debugging guide, but no measurements. This study tests its
# statements one by one.

# %%
report.hypothesis("H1", "目标图像的跳跃连接会泄漏噪声：`original` 的泄漏斜率至少为 {limit}。",
                  "Skips of the target image leak its noise: the leak of `original` is at least {limit}.", limit=0.5)  # fmt: skip
report.hypothesis("H2", "跨域路径不用跳跃连接（no_skip）就没有泄漏：残差与目标噪声的相关不超过 {limit}。",
                  "Without skips in the cross path (no_skip) nothing leaks: residual and target noise correlate by at most {limit}.", limit=0.1)  # fmt: skip
report.hypothesis("H3", "no_skip 是唯一的办法：改用潜表示来源图像的跳跃连接，残差与目标噪声的相关仍超过 {limit}。",
                  "No_skip is the only cure: with skips of the image that made the latent, residual and target noise still correlate by more than {limit}.", limit=0.1)  # fmt: skip

# %%
report.hypothesis("H4", "（本研究补充）降低噪声可以治好泄漏：噪声为 {sigma} 时 `original` 的泄漏斜率不超过 {limit}。",
                  "(This study's own.) Less noise cures the leak: at a noise of {sigma} the leak of `original` is at most {limit}.", sigma=0.01, limit=0.1)  # fmt: skip
report.hypothesis("H5", "噪声为 {sigma} 时 `pure_noise2noise` 的输出比含噪图像更接近真值。",
                  "At a noise of {sigma} the output of `pure_noise2noise` is closer to the truth than the noisy image.", sigma=0.01)  # fmt: skip
report.hypothesis("H6", "弱重建损失不会迫使同域输出保留噪声：`pure_noise2noise` 同域输出的泄漏斜率不超过 {limit}。",
                  "A weak recon loss does not force the same-domain output to keep noise: the leak of the same-domain output of `pure_noise2noise` is at most {limit}.", limit=0.1)  # fmt: skip
report.hypothesis("H7", "`pure_noise2noise` 的跨域输出明显比含噪图像更接近真值（PSNR 至少高 {limit} dB）。",
                  "The cross output of `pure_noise2noise` is clearly closer to the truth than the noisy image (PSNR {limit} dB higher or more).", limit=0.5)  # fmt: skip

# %%
report.hypothesis("H8", "`pure_noise2noise` 第 {epoch} 轮的跨域损失约为 {expected}（相差不超过 {limit}）。",
                  "The cross loss of `pure_noise2noise` at epoch {epoch} is about {expected} (within {limit}).", epoch=1, expected=1.0, limit=0.3)  # fmt: skip
report.hypothesis("H9", "`pure_noise2noise` 第 {epoch} 轮的跨域损失低于 {expected}。", "The cross loss of `pure_noise2noise` at epoch {epoch} is below {expected}.", epoch=10, expected=0.5)  # fmt: skip
report.hypothesis("H10", "`pure_noise2noise` 第 {epoch} 轮的跨域损失低于 {expected}。", "The cross loss of `pure_noise2noise` at epoch {epoch} is below {expected}.", epoch=20, expected=0.3)  # fmt: skip
report.hypothesis("H11", "`pure_noise2noise` 的内容损失最终降到 {limit} 以下。", "The content loss of `pure_noise2noise` ends below {limit}.", limit=0.01)  # fmt: skip
report.hypothesis("H12", "`pure_noise2noise` 的两个潜表示一致：其差异与方差之比不超过 {limit}。",
                  "The two latents of `pure_noise2noise` agree: their difference over their variance is at most {limit}.", limit=0.01)  # fmt: skip
report.hypothesis("H13", "`pure_noise2noise` 的跨域损失在 {epoch} 轮内明显下降：超出噪声下限的部分至少减半。",
                  "The cross loss of `pure_noise2noise` falls visibly within {epoch} epochs: its excess over the noise floor at least halves.", epoch=5)  # fmt: skip

# %%
report.hypothesis("H14", "只看损失里程碑就能选出好的去噪器：损失最低的配置比含噪图像至少好 {limit} dB。",
                  "The milestones alone choose a good denoiser: the configuration with the lowest loss gains at least {limit} dB on the noisy image.", limit=0.5)  # fmt: skip
report.hypothesis("H15", "`pure_noise2noise` 的留出跨域损失不低于噪声下限。",
                  "The held-out cross loss of `pure_noise2noise` is not below its noise floor.")  # fmt: skip
report.hypothesis("H16", "`extreme_denoising` 的去噪能力强于 `pure_noise2noise`。",
                  "`extreme_denoising` denoises better than `pure_noise2noise`.")  # fmt: skip

# %%
report.hypothesis("H17", "渐进式训练的曲线比同样轮数的一次训练更平稳。",
                  "Progressive training has a steadier curve than one run of as many epochs.")  # fmt: skip
report.hypothesis("H18", "渐进式训练的最终质量高于同样轮数的一次训练。",
                  "Progressive training ends better than one run of as many epochs.")  # fmt: skip
report.hypothesis("H19", "方案 B（渐进式）优于方案 A（先 pure 后 extreme，取较好者）。",
                  "Plan B (progressive) beats plan A (pure, then extreme, the better of the two).")  # fmt: skip

# %%
report.hypothesis("H20", "更大的潜表示（{large} 对 {small} 个通道）有帮助。",
                  "A larger latent ({large} against {small} channels) helps.", large=512, small=256)  # fmt: skip
report.hypothesis("H21", "把重建权重从 {one} 降到 {other} 能降低跨域损失。",
                  "Lowering recon from {one} to {other} lowers the cross loss.", one=0.2, other=0.05)  # fmt: skip
report.hypothesis("H22", "把重建权重从 {one} 提高到 {other} 能减轻模糊。",
                  "Raising recon from {one} to {other} makes the output sharper.", one=0.2, other=0.3)  # fmt: skip
report.hypothesis("H23", "加上权重 {weight} 的边缘损失能减轻模糊。",
                  "An edge loss of weight {weight} makes the output sharper.", weight=0.05)  # fmt: skip
report.hypothesis("H24", "内容损失有用：权重为 {one} 优于 {other}。",
                  "The content loss helps: a weight of {one} beats {other}.", one=1.0, other=0.0)  # fmt: skip

# %%
report.hypothesis("H25", "`extreme_denoising` 的跨域损失下降最快：第 {epoch} 轮时低于 `pure_noise2noise`。",
                  "The cross loss of `extreme_denoising` falls fastest: it is below that of `pure_noise2noise` at epoch {epoch}.", epoch=5)  # fmt: skip
report.hypothesis("H26", "no_skip 的代价是细节略少：用潜表示来源图像的跳跃连接能保留更多细节。",
                  "No_skip costs some detail: skips of the image that made the latent keep more of it.")  # fmt: skip

# %%
report.hypothesis("H27", "重建损失不会接近零：`pure_noise2noise` 结束时的重建损失不低于噪声下限的 {limit:.0%}。",
                  "The recon loss does not come near zero: that of `pure_noise2noise` ends at {limit:.0%} of the noise floor or more.", limit=0.5)  # fmt: skip
report.hypothesis("H28", "只有跨域损失就无法优化：`original` 结束时的跨域损失仍高于 {limit}。",
                  "The cross loss alone cannot be optimised: that of `original` still ends above {limit}.", limit=0.3)  # fmt: skip
report.hypothesis("H29", "噪声为 {sigma} 时过大，会干扰训练：`pure_noise2noise` 的输出不比含噪图像好。",
                  "A noise of {sigma} is too much and upsets training: the output of `pure_noise2noise` is no better than the noisy image.", sigma=0.25)  # fmt: skip
report.hypothesis("H30", "渐进式训练不会早期坍缩：潜表示标准差的终值不低于峰值的 {limit:.0%}。",
                  "Progressive training does not collapse: the latent's standard deviation ends at {limit:.0%} of its peak or more.", limit=0.05)  # fmt: skip
report.hypothesis("H31", "两条路径都去掉跳跃连接（`no_skip_everywhere`）时，同域输出也不泄漏：泄漏斜率不超过 {limit}。",
                  "Without skips in either path (`no_skip_everywhere`) the same-domain output does not leak either: its leak is at most {limit}.", limit=0.1)  # fmt: skip

# %%
report.hypothesis("H32", "输出不带潜表示来源图像的噪声：`pure_noise2noise` 的残差与该噪声的相关不超过 {limit}。",
                  "What noise is left is not that of the image that made the latent: the residual of `pure_noise2noise` correlates with that noise by at most {limit}.", limit=0.1)  # fmt: skip
report.hypothesis("H33", "结构细节完整：`pure_noise2noise` 的跨域输出至少保留 {limit:.0%} 的细节。",
                  "Structure stays intact: the cross output of `pure_noise2noise` keeps {limit:.0%} of the fine detail or more.", limit=0.9)  # fmt: skip
report.hypothesis("H34", "`pure_noise2noise` 的跨域损失稳定下降：回升不超过总降幅的 {limit:.0%}。",
                  "The cross loss of `pure_noise2noise` falls steadily: its rises come to {limit:.0%} of its fall at most.", limit=0.3)  # fmt: skip
report.hypothesis("H35", "`extreme_denoising` 收敛更慢：跨域损失降到 {expected} 以下要比 `pure_noise2noise` 至少多一轮。",
                  "`extreme_denoising` takes longer to converge: at least one epoch more than `pure_noise2noise` until the cross loss is below {expected}.", expected=0.3)  # fmt: skip

# %%
report.hypothesis("H36", "`extreme_denoising` 的参数比 `pure_noise2noise` 多。", "`extreme_denoising` has more parameters than `pure_noise2noise`.")  # fmt: skip
report.hypothesis("H37", "`extreme_denoising` 适合强噪声：噪声为 {sigma} 时优于 `pure_noise2noise`。",
                  "`extreme_denoising` suits strong noise: at a noise of {sigma} it beats `pure_noise2noise`.", sigma=0.25)  # fmt: skip
report.hypothesis("H38", "渐进式训练的第一阶段就建立起共享空间：结束时潜表示的差异与方差之比不超过 {limit}。",
                  "The first stage of progressive training already builds the shared space: at its end the latents differ by at most {limit} of their variance.", limit=0.01)  # fmt: skip
report.hypothesis("H39", "渐进式训练用时最长：比 `extreme_denoising` 还长。", "Progressive training takes longest, longer even than `extreme_denoising`.")  # fmt: skip
report.hypothesis("H40", "更大的潜表示（{large} 对 {small} 个通道）能减轻模糊。",
                  "A larger latent ({large} against {small} channels) makes the output sharper.", large=512, small=256)  # fmt: skip

# %%
lr, clip = reported("noise2noise.learning_rate"), reported("noise2noise.grad_clip")
report.hypothesis("H41", "训练不稳定时，把初始学习率从 {one:.4f} 降到 {other:.4f} 能使曲线更平稳。",
                  "Where training is unstable, a learning rate of {other:.4f} instead of {one:.4f} makes the curve steadier.", one=lr["default"], other=lr["stage_2"])  # fmt: skip
report.hypothesis("H42", "训练不稳定时，把梯度裁剪从 {one} 收紧到 {other} 能使曲线更平稳。",
                  "Where training is unstable, clipping gradients at {other} instead of {one} makes the curve steadier.", one=clip["default"], other=clip["if_unstable"])  # fmt: skip

# %%
report.hypothesis("H43", "不预热、直接用权重 {weight} 的跨域损失会使潜表示坍缩：`pure_noise2noise` 的潜表示标准差终值低于峰值的 {limit:.0%}。",
                  "Without a warm-up a cross weight of {weight} collapses the latent: its standard deviation in `pure_noise2noise` ends below {limit:.0%} of its peak.", weight=1, limit=0.05)  # fmt: skip
report.hypothesis("H44", "目标图像的跳跃连接破坏独立噪声假设：`original` 的留出跨域损失低于噪声下限。",
                  "The target's skips break the assumption of independent noise: the held-out cross loss of `original` is below its noise floor.")  # fmt: skip
report.hypothesis("H45", "内容损失降得很快：`pure_noise2noise` 在 {epoch} 轮内降到 {limit} 以下。",
                  "The content loss falls fast: that of `pure_noise2noise` is below {limit} within {epoch} epochs.", epoch=5, limit=0.01)  # fmt: skip
report.hypothesis("H46", "`pure_noise2noise` 的重建损失平稳：回升不超过总降幅的 {limit:.0%}。",
                  "The recon loss of `pure_noise2noise` is steady: its rises come to {limit:.0%} of its fall at most.", limit=0.3)  # fmt: skip
report.hypothesis("H47", "输出的残差是随机的：`pure_noise2noise` 残差中相邻像素的相关不超过 {limit}。",
                  "The output's residual is random: in that of `pure_noise2noise` neighbouring pixels correlate by at most {limit}.", limit=0.1)  # fmt: skip

# %%
report.hypothesis("H48", "强跨域权重使去噪主导：权重从 {one} 提高到 {other}，跨域输出更好。",
                  "A strong cross weight lets denoising lead: raised from {one} to {other} it improves the cross output.", one=0.1, other=1.0)  # fmt: skip
report.hypothesis("H49", "更大的潜表示（{large} 对 {small} 个通道）能降低跨域损失。",
                  "A larger latent ({large} against {small} channels) lowers the cross loss.", large=512, small=256)  # fmt: skip
report.hypothesis("H50", "渐进式训练能降低跨域损失（与同样轮数的一次训练相比）。",
                  "Progressive training lowers the cross loss (against one run of as many epochs).")  # fmt: skip
report.hypothesis("H51", "弱重建（{one} 对 {other}）使潜表示少留噪声：残差与来源图像噪声的相关更小。",
                  "A weak recon weight ({one} against {other}) leaves less noise in the latent: the residual correlates less with the noise of the image that made it.", one=0.2, other=1.0)  # fmt: skip
report.hypothesis("H52", "内容权重 {one} 比 {other} 使两个潜表示更一致。", "A content weight of {one} makes the two latents agree better than {other}.", one=1.0, other=0.0)  # fmt: skip
report.hypothesis("H53", "内容权重 {one} 比 {other} 允许两个潜表示有更大的差异。", "A content weight of {one} lets the two latents differ more than {other} does.", one=0.5, other=1.0)  # fmt: skip

# %%
report.hypothesis("H54", "`extreme_denoising` 去噪最强：优于 `pure_noise2noise` 与 `progressive` 中较好的一个。",
                  "`extreme_denoising` denoises best: better than the better of `pure_noise2noise` and `progressive`.")  # fmt: skip
report.hypothesis("H55", "`extreme_denoising` 的跨域损失也比 `progressive` 降得快（第 {epoch} 轮）。",
                  "The cross loss of `extreme_denoising` falls faster than that of `progressive` too (epoch {epoch}).", epoch=5)  # fmt: skip
report.hypothesis("H56", "渐进式训练的曲线最平稳：也比 `extreme_denoising` 平稳。", "Progressive training has the steadiest curve, steadier than `extreme_denoising` too.")  # fmt: skip
report.hypothesis("H57", "渐进式训练的第一阶段很快学会编码与解码：重建损失至少减半。",
                  "The first stage of progressive training soon learns to encode and decode: the recon loss at least halves.")  # fmt: skip
report.hypothesis("H58", "与目标图像的跳跃连接（`target_skips`）相比，no_skip 的细节也略少。",
                  "Against skips of the target image (`target_skips`) no_skip keeps less detail too.")  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# ### 数据
# 默认数据来自 `MNI152` 平均脑：`T1` 对比度是实测的，`T2` 对比度由组织概率图按自旋回波方程合成：
# $$S = \rho\,(1 - e^{-TR/T_1})\,e^{-TE/T_2}$$
# 这是一百多人的平均，比单人图像平滑，所以结果说明的是机制，而不是临床性能。两侧半球几乎对称，因此按 z 方向分块划分，块间留有间隔。
# 每幅图像只加一次噪声（莱斯噪声或高斯噪声），相当于每种对比度只采集一次；两幅图像的噪声相互独立。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# ### Data
# The default data come from the `MNI152` average brain: the `T1` contrast is measured, the `T2` contrast is made from the tissue maps by the
# spin-echo equation:
# $$S = \rho\,(1 - e^{-TR/T_1})\,e^{-TE/T_2}$$
# It is an average of well over a hundred people and smoother than one person's image, so that results tell of the mechanism, not of clinical
# performance. The hemispheres mirror each other, hence the split by blocks along z with gaps between. Every image gets its noise
# once (Rician or Gaussian), as if each contrast had been acquired once; the noise of the two images is independent.

# %%
data = study.prepare(config)
report.describe_data(
    source=data.images.source, name=data.images.name, fingerprint=data.fingerprint,
    n_train=len(data.parts["train"]), n_dropped=data.images.n_dropped, n_test=len(data.parts["test"]),
)  # fmt: skip
report.table("split", data.table(), "数据的划分（{one} 与 {other}，噪声标准差 {sigma}）。", "The split ({one} and {other}, noise sigma {sigma}).",
             source=study.prepare, one=data.images.contrasts[0], other=data.images.contrasts[1], sigma=config.noise_sigma)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 模型与损失
# 四项损失的加权和如下。跨域项最关键：输出来自对方的潜表示，目标是自己的含噪图像。
# $$L = w_c\,\|z_a - z_b\|^2 + w_r \sum_d |\hat x_d - x_d| + w_x \sum_d |x_d^{*} - x_d| + w_e \sum_d |\nabla x_d^{*} - \nabla x_d|$$
# 跨域输出可用的跳跃连接有四种：不用、目标图像的、潜表示来源图像的、两者混合。原文的 `no_skip` 只针对跨域路径，同域路径仍保留跳跃连接。
# 所有配置在同一噪声水平下比较；原文建议的更低噪声另作扫描。

# %% [markdown] tags=["lang-en"]
# ### Model and losses
# The loss is a weighted sum of four terms. The cross term matters most: the output comes from the partner's latent, the target
# is the image's own noisy acquisition.
# $$L = w_c\,\|z_a - z_b\|^2 + w_r \sum_d |\hat x_d - x_d| + w_x \sum_d |x_d^{*} - x_d| + w_e \sum_d |\nabla x_d^{*} - \nabla x_d|$$
# A cross output may receive no skips, those of the target image, those of the image that made the latent, or a mix. The document's `no_skip`
# concerns the cross path alone; the same-domain path keeps its skips. All configurations are compared at one noise level; the lower noise that
# the document advises is a sweep of its own.

# %%
report.table(
    "configurations",
    study.configurations(config),
    "本次运行的配置。",
    "The configurations of this run.",
    source=study.configurations,
)
report.table("settings", study.settings(config, reported("noise2noise")), "原文与本次运行的设置（“—”表示本次运行不含）。",
             "Settings of the document and of this run (—: not in this run).", source=study.settings)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 判据
# 三个量使问题可以判定。泄漏斜率：只重抽目标图像的噪声，输出随之变化的比例；复制分数：输出等于含噪目标时为一，等于真值时为零，
# 比真值离目标更远时为负；残差与噪声的相关系数（残差是输出减去含噪图像的条件中位数，因为莱斯噪声的均值随信号而变；图中的残差减的是真值）。
# 此外还有噪声下限：不知道目标噪声的任何预测，其平均绝对误差都不可能低于条件中位数的误差。留出损失低于下限，输出里必有目标的噪声；
# 高于下限不排除部分泄漏，差额也未必能消除。
#
# 只有一个种子时，区间取自同一个脑的相邻切片，不含训练差异；曲线判据只有单值。莱斯噪声的均值不为零，用绝对误差训练的 Noise2Noise 学到的是
# 中位数，PSNR 因而偏低。

# %% [markdown] tags=["lang-en"]
# ### How to tell
# Three measures make the question decidable. The leak: the share by which the output follows when only the noise of the target image is drawn
# anew. The copy score: one for an output that equals the noisy target, zero for the truth, negative if farther from the target than the truth is. The
# correlation of the residual with the noise (here the residual is the output less the conditional median of the noisy image, since the mean of
# Rician noise follows the signal; the figures subtract the truth). And there is a noise floor: no prediction that does not know the target's noise
# can have a smaller mean absolute error than the conditional median. A held-out loss below it means that the target's noise is in the output; above
# it a partial leak is not excluded, and the gap need not be removable.
#
# With one seed, intervals run over neighbouring slices of one brain and hold no training variation; verdicts on curves rest on one value.
# Rician noise is not zero-mean: trained on the absolute error, Noise2Noise learns the median, which lowers the PSNR.

# %% [markdown] tags=["lang-zh"]
# ## 3 结果

# %% [markdown] tags=["lang-en"]
# ## 3 Results

# %%
trained = study.train(config, data, runtime)
scored = study.scores(trained, data, runtime)
curves, costs = study.histories(trained), study.costs(trained)
floor = study.train_floor(config, data)
floors = study.floor_test(scored)
main = curves[curves.sweep == "main"]


# %% tags=["nbval-check-output"]
def judge(key, found, metric, criterion, anchor, *texts, reported_as=None, **facts):
    shown = {"metric": metric, "criterion": criterion, "anchor": anchor, "reported_as": reported_as}
    if found.why:
        return report.not_tested(key, zh=found.why[0], en=found.why[1], **shown)
    said = dict(zip(("supported", "refuted", "inconclusive"), texts, strict=True)) | found.numbers() | facts
    return report.claim(key, **shown, **said)


# %% [markdown] tags=["lang-zh"]
# ### 泄漏看得见
# 下图把残差（输出减真值）放在目标噪声旁边。两者相同，就说明输出照抄了目标。

# %% [markdown] tags=["lang-en"]
# ### The leak can be seen
# The residual (output less truth) stands beside the noise of the target. Where the two look alike, the output has copied its target.

# %%
images = study.gallery(trained, config, data, runtime)
report.figure("gallery", plots.gallery(images, noise=config.noise_sigma), "跨域输出：真值、含噪目标、输出、残差与目标噪声。",
              "Cross outputs: truth, noisy target, output, residual, and the target's noise.")  # fmt: skip

# %% tags=["nbval-check-output"]
leak = study.arm(scored, "original", "leak")
leaks = judge("H1", leak, "leak", Criterion("gt", 0.5), "fig-gallery",
      ("泄漏斜率为 {value:.3f}：目标的噪声有 {value:.0%} 进入输出。", "The leak is {value:.3f}: {value:.0%} of the target's noise enters the output."),
      ("泄漏斜率只有 {value:.3f}。", "The leak is only {value:.3f}."),
      ("泄漏斜率为 {value:.3f}，区间 {low:.3f} 至 {high:.3f} 跨过阈值。", "The leak is {value:.3f}; its interval, {low:.3f} to {high:.3f}, crosses the threshold."))  # fmt: skip
cured = study.arm(scored, "pure_noise2noise", "corr_target")
cures = judge("H2", cured, "correlation", Criterion("within", 0.1), "fig-gallery",
      ("相关系数为 {value:.3f}；按结构，目标图像根本不进入这条路径。", "The correlation is {value:.3f}; by construction the target image never enters this path."),
      ("相关系数达 {value:.3f}。", "The correlation is {value:.3f}."),
      ("相关系数为 {value:.3f}，区间跨过阈值。", "The correlation is {value:.3f}; its interval crosses the threshold."))  # fmt: skip

# %% tags=["nbval-check-output"]
other_skips = study.arm(scored, "latent_skips", "corr_target")
others = judge("H3", other_skips, "correlation", Criterion("gt", 0.1), "fig-gallery",
      ("相关系数为 {value:.3f}，这种跳跃连接同样泄漏。", "The correlation is {value:.3f}: these skips leak as well."),
      ("不成立：相关系数只有 {value:.3f}，PSNR 为 {psnr} dB（no_skip 为 {none} dB）。有跳跃连接也可以不泄漏，要看它来自哪幅图像。",
       "Not so: the correlation is only {value:.3f}, at a PSNR of {psnr} dB (no_skip: {none} dB). A network may have skips and not leak; it depends on whose they are."),
      ("相关系数为 {value:.3f}，区间跨过阈值。", "The correlation is {value:.3f}; its interval crosses the threshold."),
      psnr=study.said(study.arm(scored, "latent_skips", "psnr_db")), none=study.said(study.arm(scored, "pure_noise2noise", "psnr_db")))  # fmt: skip

# %% tags=["nbval-check-output"]
quiet = study.arm(scored, "original", "leak", sweep="noise_sigma", at=0.01)
judge("H4", quiet, "leak", Criterion("lt", 0.1), "fig-sweeps",
      ("泄漏斜率降到 {value:.3f}。", "The leak comes down to {value:.3f}."),
      ("泄漏斜率仍为 {value:.3f}（噪声为 {sigma} 时为 {usual}）：噪声小了，泄漏还在。", "The leak is still {value:.3f} (at a noise of {sigma}: {usual}): there is less noise, and it still leaks."),
      ("泄漏斜率为 {value:.3f}，区间跨过阈值。", "The leak is {value:.3f}; its interval crosses the threshold."), sigma=config.noise_sigma, usual=study.said(leak))  # fmt: skip
judge("H5", study.gain(scored, "pure_noise2noise", sweep="noise_sigma", at=0.01), "psnr_gain_db", Criterion("gt", 0.0), "fig-sweeps",
      ("PSNR 提高 {value:.2f} dB。", "The PSNR rises by {value:.2f} dB."),
      ("PSNR 反而变化 {value:.2f} dB：噪声本来就弱，网络自身的误差比它还大。", "The PSNR changes by {value:.2f} dB: there is next to nothing to remove, and the network errs by more than the noise."),
      ("PSNR 变化 {value:.2f} dB，区间跨过零。", "The PSNR changes by {value:.2f} dB; the interval includes zero."))  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H29", study.gain(scored, "pure_noise2noise", sweep="noise_sigma", at=0.25), "psnr_gain_db", Criterion("lt", 0.0), "fig-sweeps",
      ("PSNR 变化 {value:.2f} dB，网络没有用处。", "The PSNR changes by {value:.2f} dB: the network is of no use."),
      ("不成立：PSNR 提高 {value:.2f} dB（噪声为 {sigma} 时提高 {usual} dB）。", "Not so: the PSNR rises by {value:.2f} dB (at a noise of {sigma}: by {usual} dB)."),
      ("PSNR 变化 {value:.2f} dB，区间跨过零。", "The PSNR changes by {value:.2f} dB; the interval includes zero."),
      sigma=config.noise_sigma, usual=study.said(study.gain(scored, "pure_noise2noise")))  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 损失与里程碑
# 原文的四项成功标准之一是跨域损失的里程碑。损失是两个域的平均绝对误差之和；图中三角是原文的里程碑，虚线是噪声下限。
# 曲线降到虚线以下并不是好消息：网络不是看到了目标的噪声，就是记住了训练集的噪声；要由留出损失区分。

# %% [markdown] tags=["lang-en"]
# ### Loss and milestones
# One of the document's four criteria of success are milestones of the cross loss. The loss is the sum of the mean absolute errors of both domains; triangles are the
# document's milestones, the dashed line is the noise floor. A curve that dips below that line is no good news: the network either sees its target's
# noise or has memorised the training set's; the held-out loss tells which.

# %%
report.figure("loss", plots.cross_loss(main, study.MILESTONES, floor), "训练中的跨域损失。", "The cross loss in training.")
noisy_db = scored[scored.sweep == "main"].noisy_psnr_db.mean()
report.figure(
    "psnr",
    plots.psnr_by_epoch(main, noisy_db),
    "验证切片上跨域输出的 PSNR；高于含噪图像的水平线才算去了噪。",
    "PSNR of the cross output on validation slices; only above the noisy image's level has it denoised.",
)
report.table("milestones", study.milestones(curves, floor), "里程碑处的跨域损失（训练噪声下限 {floor:.3f}）。",
             "The cross loss at the milestones (noise floor of training {floor:.3f}).", source=study.milestones, floor=floor)  # fmt: skip

# %% tags=["nbval-check-output"]
first = study.offset(study.at_epoch(curves, "pure_noise2noise", "train_cross", 1), 1.0)
judge("H8", first, "cross_loss_offset", Criterion("within", 0.3), "fig-loss",
      ("与预期只差 {value:.2f}。", "It differs from the expectation by {value:.2f}."),
      ("与预期相差 {value:.2f}；这个数取决于图像的强度标度。", "It differs from the expectation by {value:.2f}; the figure depends on how intensities are scaled."),
      ("与预期相差 {value:.2f}，区间跨过阈值。", "It differs by {value:.2f}; the interval crosses the threshold."))  # fmt: skip
tenth = study.at_epoch(curves, "pure_noise2noise", "train_cross", 10)
below = ("跨域损失为 {value:.3f}。", "The cross loss is {value:.3f}.")
judge("H9", tenth, "cross_loss", Criterion("lt", 0.5), "fig-loss", *[below] * 3, reported_as="noise2noise.cross_loss_expected.10")  # fmt: skip

# %% tags=["nbval-check-output"]
twentieth = study.at_epoch(curves, "pure_noise2noise", "train_cross", 20)
judge("H10", twentieth, "cross_loss", Criterion("lt", 0.3), "fig-loss", *[below] * 3, reported_as="noise2noise.cross_loss_expected.20")  # fmt: skip
judge("H13", study.early_fall(curves, "pure_noise2noise", floor), "excess_left", Criterion("lt", 0.5), "fig-loss",
      ("超出部分只剩 {value:.0%}。", "{value:.0%} of the excess is left."), ("超出部分还剩 {value:.0%}。", "{value:.0%} of the excess is left."),
      ("超出部分还剩 {value:.0%}，无法判定。", "{value:.0%} of the excess is left, which decides nothing."))  # fmt: skip
judge("H34", study.cost(costs, "pure_noise2noise", "roughness"), "roughness", Criterion("lt", 0.3), "tab-costs",
      ("验证曲线的回升为总降幅的 {value:.0%}。", "The rises of the validation curve come to {value:.0%} of its fall."),
      ("验证曲线的回升达总降幅的 {value:.0%}。", "The rises of the validation curve come to as much as {value:.0%} of its fall."),
      ("回升为总降幅的 {value:.0%}，区间跨过阈值。", "Its rises come to {value:.0%} of its fall; the interval crosses the threshold."))  # fmt: skip

# %% tags=["nbval-check-output"]
alone = study.at_epoch(curves, "original", "train_cross", -1)
judge("H28", alone, "cross_loss", Criterion("gt", 0.3), "fig-loss",
      ("跨域损失停在 {value:.3f}。", "The cross loss stays at {value:.3f}."),
      ("不成立：没有内容损失和重建损失，跨域损失也降到了 {value:.3f}（噪声下限 {floor:.3f}，泄漏斜率 {leak}）。",
       "Not so: without content and recon loss the cross loss still comes down to {value:.3f} (noise floor {floor:.3f}, leak {leak})."),
      ("跨域损失为 {value:.3f}，区间跨过阈值。", "The cross loss is {value:.3f}; its interval crosses the threshold."), floor=floor, leak=study.said(leak))  # fmt: skip
judge("H27", study.over(study.at_epoch(curves, "pure_noise2noise", "train_recon", -1), floor), "recon_over_floor", Criterion("gt", 0.5), "tab-scores",
      ("重建损失为噪声下限的 {value:.0%}。", "The recon loss is {value:.0%} of the noise floor."),
      ("不成立：重建损失只有噪声下限的 {value:.0%}，而低于下限只能靠记下噪声。", "Not so: the recon loss is only {value:.0%} of the noise floor, and only an output that keeps the noise gets below that."),
      ("重建损失为噪声下限的 {value:.0%}，区间跨过阈值。", "The recon loss is {value:.0%} of the noise floor; its interval crosses the threshold."))  # fmt: skip

# %% tags=["nbval-check-output"]
winner = study.passes_best(curves)
chosen = judge("H14", study.gain(scored, winner), "psnr_gain_db", Criterion("gt", 0.5), "fig-psnr",
      ("损失最低的是 `{name}`（泄漏斜率 {leak}），比含噪图像高 {value:.2f} dB。", "`{name}` has the lowest loss (leak {leak}), and gains {value:.2f} dB on the noisy image."),
      ("损失最低的是 `{name}`，PSNR 的变化却是 {value:+.2f} dB，泄漏斜率为 {leak}：损失低不能当作去噪成功的证据。",
       "`{name}` has the lowest loss, yet its PSNR changes by {value:+.2f} dB, with a leak of {leak}: a low loss is no proof of denoising."),
      ("损失最低的是 `{name}`（泄漏斜率 {leak}），PSNR 变化 {value:.2f} dB，区间跨过阈值。", "`{name}` has the lowest loss (leak {leak}); its PSNR changes by {value:.2f} dB, and the interval crosses the threshold."),
      name=winner, leak=study.said(study.arm(scored, winner, "leak")))  # fmt: skip

# %% tags=["nbval-check-output"]
report.figure("floors", plots.floors(floors), "留出跨域损失与噪声下限之差（按切片配对的区间）；落在零线左侧即输出里有目标的噪声。",
              "Held-out cross loss less its noise floor (intervals paired over slices); left of zero the target's noise is in the output.")  # fmt: skip
report.table("floors", floors, "留出损失与噪声下限：低于下限说明泄漏。", "Held-out loss and noise floor: below the floor means leakage.",
             source=study.floor_test)  # fmt: skip
judge("H15", study.floor_gap(floors, "pure_noise2noise"), "loss_minus_floor", Criterion("gt", 0.0), "fig-floors",
      ("高出噪声下限 {value:.4f}。", "It is {value:.4f} above the floor."),
      ("与噪声下限之差为 {value:.4f}，低于下限。", "It differs from the floor by {value:.4f}: below it."),
      ("与噪声下限之差为 {value:.4f}，区间包含零。", "It differs from the floor by {value:.4f}; the interval includes zero."))  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H44", study.floor_gap(floors, "original"), "loss_minus_floor", Criterion("lt", 0.0), "fig-floors",
      ("与噪声下限之差为 {value:.4f}，低于下限。", "It differs from the floor by {value:.4f}: below it."),
      ("高出噪声下限 {value:.4f}。", "It is {value:.4f} above the floor."),
      ("与噪声下限之差为 {value:.4f}，区间包含零。", "It differs from the floor by {value:.4f}; the interval includes zero."))  # fmt: skip
judge("H46", study.cost(costs, "pure_noise2noise", "recon_roughness"), "roughness", Criterion("lt", 0.3), "tab-costs",
      *[("验证重建损失的回升为总降幅的 {value:.0%}。", "The rises of the validation recon loss come to {value:.0%} of its fall.")] * 3)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 内容损失
# 实线是内容损失本身，点线是它与潜表示方差之比，虚线是原文的目标值。把潜表示整体缩小一半，实线降到四分之一，点线不变；
# 只有点线能说明两幅图像的潜表示是否一致。

# %% [markdown] tags=["lang-en"]
# ### The content loss
# Solid lines are the content loss itself, dotted lines its ratio to the latents' variance, the dashed line is the document's goal. Shrink the latents to half
# their size, and the solid line falls to a quarter while the dotted one stays: the dotted line alone tells whether the two latents agree.

# %% tags=["nbval-check-output"]
report.figure("content", plots.content(main), "内容损失的绝对值，以及它与潜表示方差之比。",
              "The content loss as it is, and over the variance of the latents.")  # fmt: skip
content, ratio = (study.at_epoch(curves, "pure_noise2noise", name, -1) for name in ("val_content", "val_content_ratio"))
judge("H11", content, "content_loss", Criterion("lt", 0.01), "fig-content",
      ("降到了 {value:.4f}；同时潜表示的标准差降到峰值的 {kept}（见 H12）。", "It comes down to {value:.4f}, while the latents' standard deviation comes down to {kept} of its peak (see H12)."),
      ("只降到 {value:.4f}。", "It only comes down to {value:.4f}."), ("降到 {value:.4f}，区间跨过阈值。", "It comes down to {value:.4f}; the interval crosses the threshold."),
      reported_as="noise2noise.content_loss_expected", kept=study.said(study.kept_latent(curves, "pure_noise2noise"), spec=".0%"))  # fmt: skip
judge("H12", ratio, "content_ratio", Criterion("lt", 0.01), "fig-content",
      ("差异只占方差的 {value:.2%}。", "The difference is {value:.2%} of the variance."),
      ("差异仍占方差的 {value:.2%}。", "The difference is still {value:.2%} of the variance."),
      ("差异占方差的 {value:.2%}，区间跨过阈值。", "The difference is {value:.2%} of the variance; the interval crosses the threshold."))  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H45", study.at_epoch(curves, "pure_noise2noise", "val_content", 5), "content_loss", Criterion("lt", 0.01), "fig-content",
      *[("届时为 {value:.4f}。", "It is {value:.4f} by then.")] * 3, reported_as="noise2noise.content_loss_expected")  # fmt: skip
judge("H43", study.kept_latent(curves, "pure_noise2noise"), "latent_std_share", Criterion("lt", 0.05), "tab-diagnosis",
      ("终值只有峰值的 {value:.0%}。", "It ends at only {value:.0%} of its peak."), ("没有坍缩：终值为峰值的 {value:.0%}。", "It does not collapse: it ends at {value:.0%} of its peak."),
      ("终值为峰值的 {value:.0%}，区间跨过阈值。", "It ends at {value:.0%} of its peak; the interval crosses the threshold."))  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 质量与经典方法
# 三种经典方法只用一幅含噪图像，强度在验证切片上对照真值挑选，因而偏乐观。跨域输出只用对方的图像，
# 等于由一种对比度推出另一种；同域输出只用自己的图像。

# %% [markdown] tags=["lang-en"]
# ### Quality, beside classical methods
# The three classical methods see one noisy image; their strength is chosen against the truth on validation slices, which flatters them. A cross
# output sees the partner's image alone, and so infers one contrast from the other; a same-domain output sees its own image alone.

# %%
classical = study.classical(config, data)
compared = study.comparison(scored, classical)
best = compared[compared.path == "single"].sort_values("psnr_db").iloc[-1]
report.figure(
    "scores",
    plots.scores(compared),
    "物体内部的 PSNR；斜纹为同域输出，虚线为含噪图像。",
    "PSNR inside the object; hatched: same-domain outputs; dashes: the noisy image.",
)
report.table(
    "scores", compared, "留出切片上的得分（物体内部）。", "Scores on held-out slices, inside the object.", source=study.scores
)

# %% tags=["nbval-check-output"]
better = study.gain(scored, "pure_noise2noise")
judge("H7", better, "psnr_gain_db", Criterion("gt", 0.5), "fig-scores",
      ("PSNR 提高 {value:.2f} dB。", "The PSNR rises by {value:.2f} dB."), ("PSNR 只变化 {value:+.2f} dB。", "The PSNR changes by {value:+.2f} dB only."),
      ("PSNR 变化 {value:+.2f} dB，区间跨过阈值。", "The PSNR changes by {value:+.2f} dB; the interval crosses the threshold."))  # fmt: skip
judge("H6", study.arm(scored, "pure_noise2noise", "leak", path="same"), "leak", Criterion("lt", 0.1), "tab-scores",
      ("同域输出的泄漏斜率只有 {value:.3f}。", "The leak of the same-domain output is only {value:.3f}."),
      ("同域输出的泄漏斜率达 {value:.3f}：同域路径保留了跳跃连接，这样的重建权重已足以让它留下自己的噪声。",
       "The leak of the same-domain output is {value:.3f}: that path has its skips, and a recon weight as small as this is enough for it to keep its own noise."),
      ("同域输出的泄漏斜率为 {value:.3f}，区间跨过阈值。", "The leak of the same-domain output is {value:.3f}; the interval crosses the threshold."))  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H31", study.arm(scored, "no_skip_everywhere", "leak", path="same"), "leak", Criterion("lt", 0.1), "tab-scores",
      ("同域输出的泄漏斜率为 {value:.3f}。", "The leak of the same-domain output is {value:.3f}."),
      ("泄漏斜率仍有 {value:.3f}：目标就是自己的含噪图像，噪声也能经潜表示通过。",
       "The leak is still {value:.3f}: the target is the image's own noisy version, and noise can pass through the latent as well."),
      ("泄漏斜率为 {value:.3f}，区间跨过阈值。", "The leak is {value:.3f}; its interval crosses the threshold."))  # fmt: skip
judge("H32", study.arm(scored, "pure_noise2noise", "corr_latent"), "correlation", Criterion("within", 0.1), "tab-scores",
      ("相关系数为 {value:.3f}。", "The correlation is {value:.3f}."), ("相关系数达 {value:.3f}：来源图像的噪声经潜表示进入了输出。", "The correlation is {value:.3f}: noise of that image reaches the output through the latent."),
      ("相关系数为 {value:.3f}，区间跨过阈值。", "The correlation is {value:.3f}; its interval crosses the threshold."))  # fmt: skip
judge("H33", study.arm(scored, "pure_noise2noise", "detail"), "detail", Criterion("gt", 0.9), "tab-scores",
      ("保留了 {value:z.0%} 的细节。", "It keeps {value:z.0%} of the detail."), ("只保留了 {value:z.0%} 的细节，经典方法 {method} 为 {kept:.0%}。", "It keeps only {value:z.0%} of the detail; the classical method {method} keeps {kept:.0%}."),
      ("保留了 {value:z.0%} 的细节，区间跨过阈值。", "It keeps {value:z.0%} of the detail; the interval crosses the threshold."), method=best.method, kept=best.detail)  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H47", study.arm(scored, "pure_noise2noise", "corr_neighbour"), "correlation", Criterion("within", 0.1), "fig-gallery",
      ("相关系数为 {value:.3f}。", "The correlation is {value:.3f}."),
      ("相关系数达 {value:.3f}：残差里有结构，不只是噪声。", "The correlation is {value:.3f}: the residual holds structure, not noise alone."),
      ("相关系数为 {value:.3f}，区间跨过阈值。", "The correlation is {value:.3f}; its interval crosses the threshold."))  # fmt: skip

# %%
same = plots.gallery(images, path="same", noise=config.noise_sigma)
report.figure("same", same, "同域输出：真值、含噪图像、输出、残差与噪声；残差若像噪声，输出就是照抄。",
              "Same-domain outputs: truth, noisy image, output, residual and noise; a residual that looks like the noise is a copy.")  # fmt: skip
stages = plots.by_epoch(study.snapshots(trained, config, data))
report.figure("epochs", stages, "一张验证切片的跨域输出随训练的变化。",
              "The cross output of one validation slice as training goes on.")  # fmt: skip

# %%
report.table("costs", study.cost_table(costs), "参数量、用时、达到阈值的轮数、验证曲线的平稳度（跨域与重建）与最终的内容差异（各随机种子的平均）。",
             "Parameters, seconds, epochs to the thresholds, how steady the validation curves are (cross and recon), and the content ratio at the end (means over the seeds).", source=study.costs)  # fmt: skip
projected = study.projection(config, data, trained, runtime)
report.table("projection", projected, "本次运行的实际开销，以及 `full` 运行档在本设备上的推算（未实际运行）。",
             "What this run took, and what the `full` profile would take on this device (computed, not run).", source=study.projection)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 其他配置与两种方案
# 不同配置之间的小差别，单个随机种子分不清是优劣还是运气，因此至少要三个种子才下结论。

# %% [markdown] tags=["lang-en"]
# ### Other configurations and the two plans
# One seed cannot tell a better configuration from a lucky one where differences are small; these claims take three seeds or more.

# %% tags=["nbval-check-output"]
up = ("差值为 {value:.3f}，区间 {low:.3f} 至 {high:.3f}。", "The difference is {value:.3f}, between {low:.3f} and {high:.3f}.")
unclear = ("差值为 {value:.3f}，区间 {low:.3f} 至 {high:.3f} 包含零。",
           "The difference is {value:.3f}; its interval, {low:.3f} to {high:.3f}, includes zero.")  # fmt: skip
said, more, less = (up, up, unclear), Criterion("gt", 0.0), Criterion("lt", 0.0)
pure, extreme, progressive = ("pure_noise2noise",), ("extreme_denoising",), ("progressive",)

# %% tags=["nbval-check-output"]
judge("H16", study.gap(scored, extreme, pure, "psnr_db"), "psnr_db", more, "tab-scores", *said)
judge("H17", study.cost_gap(costs, progressive, ("pure_long",), "roughness"), "roughness", less, "tab-costs", *said)
judge("H18", study.gap(scored, progressive, ("pure_long",), "psnr_db"), "psnr_db", more, "tab-scores", *said)
judge("H25", study.epoch_gap(curves, *extreme, *pure, "train_cross", 5), "cross_loss", less, "fig-loss", *said)
judge("H35", study.cost_gap(costs, extreme, pure, "epochs_to_0.3"), "epochs", Criterion("gt", 1.0), "tab-costs", *said)
judge("H37", study.gap(scored, (*extreme, "noise_sigma", 0.25), (*pure, "noise_sigma", 0.25), "psnr_db"), "psnr_db", more, "fig-sweeps", *said)  # fmt: skip
judge("H26", study.gap(scored, ("latent_skips",), pure, "detail"), "detail", more, "tab-scores", *said)

# %% tags=["nbval-check-output"]
judge("H36", study.weights_over(config, *extreme, *pure), "parameters_ratio", Criterion("gt", 1.0), "tab-settings",
      *[("参数量是后者的 {value:.2f} 倍（按本次运行的设置数出）。", "It has {value:.2f} times as many, counted at this run's sizes.")] * 3)  # fmt: skip
judge("H38", study.after_first_stage(trained, curves, *progressive, "val_content_ratio"), "content_ratio", Criterion("lt", 0.01), "fig-content",
      *[("第一阶段结束时差异占方差的 {value:.2%}。", "At the end of the first stage the difference is {value:.2%} of the variance.")] * 3)  # fmt: skip
judge("H39", study.cost_gap(costs, progressive, extreme, "seconds"), "seconds", more, "tab-costs", *said)
judge("H30", study.kept_latent(curves, *progressive), "latent_std_share", Criterion("gt", 0.05), "tab-diagnosis",
      ("终值为峰值的 {value:.0%}。", "It ends at {value:.0%} of its peak."), ("终值只有峰值的 {value:.0%}。", "It ends at only {value:.0%} of its peak."),
      ("终值为峰值的 {value:.0%}，区间跨过阈值。", "It ends at {value:.0%} of its peak; the interval crosses the threshold."))  # fmt: skip
judge("H19", study.best_gap(scored, *progressive, [*pure, *extreme], "psnr_db"), "psnr_db", more, "tab-scores", *said)

# %% tags=["nbval-check-output"]
latent, recon, edge, content = (study.setting("pure_noise2noise", name) for name in ("latent", "recon", "edge", "content"))
judge("H20", study.gap(scored, latent(512), latent(256), "psnr_db"), "psnr_db", more, "fig-sweeps", *said)
judge("H40", study.gap(scored, latent(512), latent(256), "detail"), "detail", more, "fig-sweeps", *said)
judge("H21", study.gap(scored, recon(0.05), recon(0.2), "l1"), "cross_loss", less, "fig-sweeps", *said)
judge("H22", study.gap(scored, recon(0.3), recon(0.2), "detail"), "detail", more, "fig-sweeps", *said)
judge("H23", study.gap(scored, edge(0.05), edge(0.0), "detail"), "detail", more, "fig-sweeps", *said)
judge("H24", study.gap(scored, content(1.0), content(0.0), "psnr_db"), "psnr_db", more, "fig-sweeps", *said)
judge("H41", study.one_setting("learning_rate", lr["default"], lr["stage_2"]), "roughness", less, "tab-costs", *said)
judge("H42", study.one_setting("clip", clip["default"], clip["if_unstable"]), "roughness", less, "tab-costs", *said)

# %% tags=["nbval-check-output"]
weight = study.setting("pure_noise2noise", "cross")
judge("H48", study.gap(scored, weight(1.0), weight(0.1), "psnr_db"), "psnr_db", more, "fig-sweeps", *said)
judge("H49", study.gap(scored, latent(512), latent(256), "l1"), "cross_loss", less, "fig-sweeps", *said)
judge("H50", study.gap(scored, progressive, ("pure_long",), "l1"), "cross_loss", less, "tab-scores", *said)

# %% tags=["nbval-check-output"]
judge("H51", study.gap(scored, recon(0.2), recon(1.0), "corr_latent"), "correlation", less, "tab-sweeps", *said)
judge("H52", study.cost_gap(costs, content(1.0), content(0.0), "content_ratio"), "content_ratio", less, "tab-costs", *said)  # fmt: skip
judge("H53", study.cost_gap(costs, content(0.5), content(1.0), "content_ratio"), "content_ratio", more, "tab-costs", *said)  # fmt: skip

# %% tags=["nbval-check-output"]
judge("H54", study.best_gap(scored, *extreme, [*pure, *progressive], "psnr_db"), "psnr_db", more, "tab-scores", *said)
judge("H55", study.epoch_gap(curves, *extreme, *progressive, "train_cross", 5), "cross_loss", less, "fig-loss", *said)
judge("H56", study.cost_gap(costs, progressive, extreme, "roughness"), "roughness", less, "tab-costs", *said)
judge("H57", study.first_stage_fall(trained, curves, *progressive, "train_recon"), "recon_left", Criterion("lt", 0.5), "fig-loss",
      *[("第一阶段结束时重建损失为第一轮的 {value:.0%}。", "At the end of the first stage the recon loss is {value:.0%} of the first epoch's.")] * 3)  # fmt: skip
judge("H58", study.gap(scored, ("target_skips",), pure, "detail"), "detail", more, "tab-scores", *said)

# %%
sweeps = study.sweep_table(study.summary(scored))
if len(sweeps):
    report.figure(
        "sweeps",
        plots.sweeps(sweeps),
        "噪声水平、损失权重与潜表示大小的扫描：PSNR（虚线为含噪图像）、泄漏斜率、保留的细节。",
        "Sweeps of the noise level, the loss weights and the latent size: PSNR (dashes: the noisy image), leak, detail kept.",
    )
    report.table(
        "sweeps", sweeps, "各扫描点的跨域得分。", "Cross scores at every point of the sweeps.", source=study.sweep_table
    )

# %% [markdown] tags=["lang-zh"]
# ### 调试指南
# 原文的调试指南在这里变成可执行的检查：四项设置检查，以及损失不降、图像模糊、训练不稳定三种情形；另加坍缩与泄漏检查，阈值与“更多轮数”为本研究所加。

# %% [markdown] tags=["lang-en"]
# ### The debugging guide
# The document's guide, made executable: four checks of the set-up, and the cases of a loss that does not fall, blur and instability; checks of
# collapse and leak, the thresholds and the remedy of more epochs are ours.

# %%
findings = study.diagnosis(study.diagnose(trained, scored, data, floor))
report.table(
    "diagnosis", findings, "对每个配置运行调试指南。", "The debugging guide, run on every configuration.", source=study.diagnose
)

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
cross = compared[compared.path == "cross"].sort_values("psnr_db").iloc[-1]
report.text(
    "`original` 的泄漏斜率为 {leak}，`pure_noise2noise` 的残差与目标噪声的相关为 {corr}，`latent_skips` 为 {other}。"
    "最好的跨域输出来自 {name}，PSNR 为 {psnr:.2f} dB；含噪图像为 {noisy:.2f} dB，最好的经典方法 {method} 为 {classical:.2f} dB。",
    "The leak of `original` is {leak}, the residual of `pure_noise2noise` correlates with the target's noise by "
    "{corr}, that of `latent_skips` by {other}. The best cross output is that of {name}, with {psnr:.2f} dB; the noisy image has {noisy:.2f} dB, the best "
    "classical method, {method}, {classical:.2f} dB.",
    leak=study.said(leak), corr=study.said(cured), other=study.said(other_skips), name=cross.method, psnr=cross.psnr_db,
    noisy=compared.psnr_db.iloc[0], method=best.method, classical=best.psnr_db,
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# - 照抄目标的输出损失为零，后两个里程碑都能达标。所以损失要与噪声下限、泄漏斜率一起看，不能单独使用。
# - 同域输出的目标就是自己的含噪图像，有跳跃连接时可以照抄噪声。跨域输出由一幅图像得到另一种对比度，它没有用到目标图像本身；在两条路径上都去掉跳跃连接（`no_skip_everywhere`）够不够，见 H31。
# - 内容损失的绝对值会随潜表示的标度一起变小，应看它与方差之比。两种对比度的明暗可以相反，潜表示形状一致并不等于内容一致。
# - 噪声水平是数据的性质，不是可以调小的超参数；训练时额外加的噪声（`augment_sigma`）才是。

# %% [markdown] tags=["lang-en"]
# - A copy of the target has a loss of zero and meets the last two milestones. Read the loss beside the noise floor and the leak, never alone.
# - The target of a same-domain output is its own noisy image, and with skips it can copy that noise. The cross output turns one image into the other contrast and never uses the target image; whether it is enough to
#   drop the skips of both paths (`no_skip_everywhere`) is H31.
# - The absolute content loss shrinks with the scale of the latents; look at its ratio to their variance. Two contrasts may have light and dark
#   reversed: latents that agree in shape need not agree in content.
# - The noise level is a property of the data, not a hyper-parameter to turn down; the noise added in training (`augment_sigma`) is one.

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 能推广的是结构上的事实：跨域路径若不接目标图像的跳跃连接，网络无论大小都看不到目标的噪声；接上之后漏进多少，则由 H1 测出。
# 不能照搬的是分贝数：默认数据是平滑的平均脑，其中一种对比度由方程合成，网络规模见页首；配置之间的小差别还受学习率和轮数左右。
# 下一步是用 fastMRI 的成对数据（`data_dir`）按原文的规模重做。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# What carries over is structure: without the target's skips in the cross path a network of any size never sees its target's noise; how much gets in with
# them is what H1 measures. What does not carry over are the decibels: the default data are a smooth average brain, one contrast is made by an equation, and the
# network has the size stated at the top; small differences between configurations also depend on learning rate and epochs. The next step is paired fastMRI
# data (`data_dir`) at the document's size.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
published = study.publish(trained, report.model_dir, data.images)
report.text("发布的模型是 `{name}`：{reason}。留出切片上它的跨域 PSNR 为 {psnr} dB，全部配置中最高的是 `{top}`，{highest:.2f} dB。用 `denoise` 命令可以把它用到自己的图像上。",
            "The published model is `{name}`, {reason}. Its cross output has {psnr} dB on held-out slices; the highest of all configurations is that of `{top}`, {highest:.2f} dB. The command `denoise` applies it to a file.",
            name=published, reason=study.reason(published), psnr=study.said(study.arm(scored, published, "psnr_db")), top=cross.method, highest=cross.psnr_db)  # fmt: skip
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")

# %%
if not first.why:
    report.fact("cross_loss_1", first.value + 1.0, "`pure_noise2noise` 第一轮的跨域损失", "cross loss of `pure_noise2noise` after its first epoch", reported_as="noise2noise.cross_loss_expected.1")  # fmt: skip
if not leak.why:
    report.fact("leak_original", leak.value, "`original` 的泄漏斜率", "leak of `original`")
report.fact("psnr_noisy_db", compared.psnr_db.iloc[0], "含噪图像的 PSNR", "PSNR of the noisy image", unit="dB")
report.fact("psnr_cross_db", cross.psnr_db, "最好的跨域输出的 PSNR", "PSNR of the best cross output", unit="dB")
report.fact("psnr_classical_db", best.psnr_db, "最好的经典方法的 PSNR", "PSNR of the best classical method", unit="dB")
report.fact("noise_floor", floor, "训练跨域损失的噪声下限", "noise floor of the training cross loss")
report.fact("full_hours", projected.hours.iloc[-1], "`full` 运行档在本设备上的推算用时", "hours of the `full` profile on this device, computed", unit="h")  # fmt: skip
report.fact("train_seconds", costs.seconds.sum(), "训练用时", "seconds of training", unit="s")
if not ratio.why:
    report.fact("content_ratio", ratio.value, "潜表示差异与方差之比", "latent difference over variance")

# %%
opening = {"supported": pair("会。", "It does."), "refuted": pair("本次运行没有看到泄漏。", "Not in this run.")}
scale = pair(
    "规模：{n} 个配置各 {seeds} 个随机种子，{slices} 张训练切片，{epochs} 轮，网络权重是 `full` 运行档的 {share:.2%}。",
    "Scale: {n} configurations with {seeds} seed(s) each, {slices} training slices, {epochs} epochs, {share:.2%} of the `full` profile's weights.",
    n=len(config.configs), seeds=config.n_seeds, slices=len(data.parts["train"]), share=study.share_of_weights(config),
    epochs="–".join(str(n) for n in sorted({costs.epochs.min(), costs.epochs.max()})),
)  # fmt: skip

# %%
lowest = {"winner": winner, "leak": study.said(study.arm(scored, winner, "leak"))}
tells = {
    "supported": pair("训练损失这次选对了：损失最低的 `{winner}`（泄漏斜率 {leak}）确实去了噪。",
                      "The training loss chose well this time: `{winner}`, which has the lowest (leak {leak}), does denoise. ", **lowest),
    "refuted": pair("训练损失分不出好坏：损失最低的是 `{winner}`，PSNR 变化 {gain} dB，泄漏斜率 {leak}；验收要看噪声下限和泄漏斜率。",
                    "The training loss cannot tell: `{winner}` has the lowest, yet its PSNR changes by {gain} dB, at a leak of {leak}; accept a model by noise floor and leak. ",
                    **lowest, gain=study.said(study.gain(scored, winner), "+.2f")),
}  # fmt: skip
unsure = pair("损失最低的是 `{winner}`（泄漏斜率 {leak}），它是否真的去了噪，本次运行无法判定。",
              "`{winner}` has the lowest training loss (leak {leak}); whether it denoises this run cannot tell. ", **lowest)  # fmt: skip
told = tells.get(chosen, unsure)

# %%
skips_first = pair("先确认跳跃连接的来源，再谈损失权重。", "Settle whose skips enter the decoder before tuning any weight.")
loss_not_alone = pair("用噪声下限和泄漏斜率验收，不要只看损失。", "Accept a model by noise floor and leak, not by its loss.")
neither = {True: pair("，两者都不泄漏", ": neither leaks"), False: pair("", "")}
brief = pair(
    "{opening}用目标图像自己的跳跃连接，泄漏斜率为 {leak}；不用跳跃连接，残差与目标噪声的相关为 {corr}。最好的跨域输出 {psnr:.2f} dB，经典方法 {classical:.2f} dB。",
    "{opening} With the target's own skips the leak is {leak}; without skips the residual correlates with the target's noise by {corr}. The best cross output has {psnr:.2f} dB, the classical method {classical:.2f} dB.",
    opening=opening.get(leaks, pair("本次运行无法判定。", "This run cannot tell.")), leak=study.said(leak), corr=study.said(cured), psnr=cross.psnr_db, classical=best.psnr_db,
)  # fmt: skip
advice = [skips_first] * (leaks == "supported") + [loss_not_alone] * (chosen == "refuted")

# %%
report.finish(
    answer=pair(
        "{opening}跨域解码若用目标图像自己的跳跃连接（`original`），泄漏斜率为 {leak}（一为照抄噪声，零为无泄漏）；不用跳跃连接时，残差与目标噪声的相关为 {corr}，改用潜表示来源图像的跳跃连接时为 {other}{both}。{told}最好的跨域输出（`{name}`）PSNR 为 {psnr:.2f} dB，保留 {detail:.0%} 的细节；含噪图像 {noisy:.2f} dB，经典方法 {method} {classical:.2f} dB，保留 {kept:.0%}。{scale}",
        "{opening} With the target's own skips in the cross path (`original`) the leak is {leak} (one: a copy of the noise, zero: none of it); without skips the residual correlates with the target's noise by {corr}, with skips of the image that made the latent by {other}{both}. {told}The best cross output (`{name}`) has {psnr:.2f} dB and keeps {detail:.0%} of the detail; the noisy image has {noisy:.2f} dB, the classical method {method} {classical:.2f} dB, keeping {kept:.0%}. {scale}",
        opening=opening.get(leaks, pair("本次运行无法判定。", "This run cannot tell.")), leak=study.said(leak), corr=study.said(cured), other=study.said(other_skips), told=told,
        name=cross.method, psnr=cross.psnr_db, noisy=compared.psnr_db.iloc[0], method=best.method, classical=best.psnr_db, scale=scale,
        both=neither[cures == "supported" and others == "refuted"], detail=cross.detail, kept=best.detail,
    ),
    implications=advice, short=brief, seeds=range(config.seed, config.seed + config.n_seeds),
    provenance=rt.provenance(runtime), figure="gallery",
)  # fmt: skip

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以选择配置、路径与图像域，并排查看真值、含噪图像、输出、残差与噪声，图随之更新；需要先安装可选依赖：`pip install -e ".[explore]"`。批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose a configuration, a path and a domain, and see truth, noisy image, output, residual and noise side by side, and the figure follows; this takes the optional extra: `pip install -e ".[explore]"`. A batch run draws
# the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
explore(
    lambda configuration, path, domain: plots.gallery(
        images[images.config == configuration], path=path, domain=domain, noise=config.noise_sigma
    ),
    configuration=list(images.config.unique()), path=["cross", "same"], domain=["a", "b"],
)  # fmt: skip
