# %% [markdown] tags=["lang-zh"]
# # 噪声会从跳跃连接泄漏吗？怎样才能根治？

# %% [markdown] tags=["lang-en"]
# # Does noise leak through the skips, and what cures it?

# %% tags=["parameters"]
# 常用参数 / the parameters that matter most
profile: str = "smoke"  # 运行档：smoke、quick 或 full / profile: smoke, quick or full
seed: int = 0  # 随机种子 / random seed
device: str = "auto"  # 计算设备：auto、cpu、cuda 或 cuda:N / auto, cpu, cuda or cuda:N
data_dir: str = ""  # 用户数据目录（空：内置默认数据） / folder of the user's data (empty: embedded default)
out_dir: str = ""  # 结果目录（空：build/<运行档>/<研究>） / folder of all results (empty: build/<profile>/<study>)
pairs: str = "two_contrast"  # 图像对：两种对比度，或同一对比度采集两次 / what a pair is: two contrasts, or one contrast twice
noise_sigma: float = 0.1  # 采集噪声标准差（以最亮信号为 1） / acquisition noise, of the brightest signal
configs: list[str] = ["original", "pure_noise2noise"]  # 按名称选择的配置 / configurations by name
epochs: int = 2  # 每个配置的训练轮数（0 表示采用其自身的轮数） / epochs of every configuration (0: its own)
n_seeds: int = 1  # 每个配置的随机种子数 / seeds per configuration

# 其余参数 / the rest
precision: str = "auto"  # 训练精度 / arithmetic of training
num_threads: int = 0  # CPU 线程数 / CPU threads
force: bool = False  # 忽略运行缓存 / ignore the run cache
lang: str = "zh"  # 首先显示的语言 / language shown first
reconstruction: str = "auto"  # 使用 fastMRI 的哪种重建 / which fastMRI reconstruction
crop: int = 0  # 用户图像的中心裁剪，像素（0 表示不裁剪） / central crop of the user's images, pixels (0: none)
max_shift_px: float = 1.5  # 两种对比度之间允许的最大错位，像素 / largest displacement between the two contrasts, pixels
n_train: int = 8  # 训练切片数（0 表示全部） / training slices (0: all)
n_val: int = 2  # 验证切片数 / validation slices
n_test: int = 3  # 测试切片数 / test slices
noise_kind: str = "rician"  # 采集噪声的类型 / kind of acquisition noise
augment_sigma: float = 0.0  # 仅在训练输入上每次重新叠加的噪声 / extra fresh noise on the inputs of training only
alpha: float = 0.5  # `mixed_skips` 中目标图像跳跃连接的占比 / share of the target's skips in `mixed_skips`
features: list[int] = [8, 4]  # 各层通道数，最深层在前 / channels per level, deepest first
latent_scale: float = 0.0625  # 潜表示通道数占文档设定的比例 / latent channels as a share of the documented ones
batch_size: int = 2  # 每步的切片数（所有设备合计） / slices per step, all devices together
devices: int = 1  # 每个节点的设备数 / devices per node
num_nodes: int = 1  # 节点数 / nodes
strategy: str = "auto"  # 多设备时的 Lightning 策略 / Lightning strategy for several devices
learning_rate: float = 0.0003  # 学习率 / learning rate
stage2_learning_rate: float = 0.0001  # 第二阶段的学习率 / learning rate of a second stage
schedule: str = "constant"  # 各阶段的学习率：恒定，或单周期（one_cycle） / learning rate over a stage: constant, or one cycle
clip: float = 1.0  # 梯度范数上限 / largest gradient norm
content_kind: str = "recipe"  # 内容损失 / content loss
sweep_noise: list = []  # 噪声水平扫描 / noise levels of the sweep
sweep_recon: list = []  # 重建权重扫描 / recon weights of the sweep
sweep_content: list = []  # 内容权重扫描 / content weights of the sweep
sweep_latent: list = []  # 潜表示通道数扫描 / latent channels of the sweep
sweep_edge: list = []  # 边缘权重扫描 / edge weights of the sweep
sweep_cross: list = []  # 跨域权重扫描 / cross weights of the sweep

# %%
from lib import runtime as rt
from lib.explore import explore
from lib.losses.images import shared_latent_loss
from lib.models.shared_latent import SharedLatentDenoiser
from lib.plots import noise2noise as plots
from lib.report import Report, pair, reported
from lib.studies import noise2noise as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)
report = Report(config)

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 同一解剖结构采集两次，得到一对噪声相互独立的图像。共享编码器把两幅图像映到同一个潜空间，两个解码器各还原一种对比度。
# 跨域输出由对方的潜表示解码，却以自己的含噪图像为目标；只有当输出看不到目标的噪声时，这样训练才能去噪。
# 如果解码时用上了目标图像自己的跳跃连接，这个前提就被破坏了。
#
# 原文给出了一组配置、预期的损失里程碑和一份调试指南，但没有测量值。本研究逐条检验其中的说法。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# One anatomy, acquired twice, gives a pair of images whose noise is independent. A shared encoder maps both into one latent
# space, and two decoders restore one contrast each. A cross-domain output is decoded from the partner's latent, yet its target
# is the image's own noisy acquisition: such training removes noise only as long as the output cannot see the noise of its
# target. Skips of the target image break that premise.
#
# The document gives configurations, expected milestones of the loss and a debugging guide, but no measurements. This study
# tests its statements one by one.

# %%
report.conclusions()

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
# The default data come from the `MNI152` average brain: the `T1` contrast is measured, the `T2` contrast is made from the
# tissue maps by the spin-echo equation:
# $$S = \rho\,(1 - e^{-TR/T_1})\,e^{-TE/T_2}$$
# It is an average of well over a hundred people and smoother than one person's image, so that results tell of the mechanism,
# not of clinical performance. The hemispheres mirror each other, hence the split by blocks along z with gaps between. Every
# image gets its noise once (Rician or Gaussian), as if each contrast had been acquired once; the noise of the two images is
# independent.

# %%
data = study.prepare(config)
report.describe_data(**data.described())
both = " / ".join(data.images.contrasts)
report.table("split", data.table(), "数据的划分（{both}）。", "The split ({both}).", source=study.prepare, both=both)

# %% [markdown] tags=["lang-zh"]
# ### 模型与损失
# 四项损失的加权和如下。跨域项最关键：输出来自对方的潜表示，目标是自己的含噪图像。
# $$L = w_c\,\|z_a - z_b\|^2 + \sum_d w_r |\hat x_d - x_d| + w_x |x_d^{*} - x_d| + w_e |\nabla x_d^{*} - \nabla x_d|$$
# 跨域输出可用的跳跃连接有四种：不用、目标图像的、潜表示来源图像的、两者混合。原文的 `no_skip` 只针对跨域路径，
# 同域路径仍保留跳跃连接。所有配置在同一噪声水平下比较；原文建议的更低噪声另作扫描。

# %% [markdown] tags=["lang-en"]
# ### Model and losses
# The loss is a weighted sum of four terms. The cross term matters most: the output comes from the partner's latent, the target
# is the image's own noisy acquisition.
# $$L = w_c\,\|z_a - z_b\|^2 + \sum_d w_r |\hat x_d - x_d| + w_x |x_d^{*} - x_d| + w_e |\nabla x_d^{*} - \nabla x_d|$$
# A cross output may receive no skips, those of the target image, those of the image that made the latent, or a mix. The
# document's `no_skip` concerns the cross path alone; the same-domain path keeps its skips. All configurations are compared at
# one noise level; the lower noise that the document advises is a sweep of its own.

# %%
report.code(
    SharedLatentDenoiser.cross_skips,
    "跨域输出用谁的跳跃连接：每个配置的差别就在这里。",
    "Whose skips a cross output receives: this is where configurations differ.",
)
report.code(
    shared_latent_loss,
    "四项损失；Noise2Noise 的要点是 `cross` 一行，它的目标是含噪图像。",
    "The four losses; Noise2Noise is the line `cross`, whose target is the noisy image.",
)

# %%
configurations, settings = study.configurations(config), study.settings(config, reported("noise2noise"))
report.table("configurations", configurations, "本次运行的配置。", "Configurations of this run.", source=study.configurations)
report.table("settings", settings, "设置：原文与本次运行。", "Settings: document and run.", source=study.settings)

# %% [markdown] tags=["lang-zh"]
# ### 判据
# 三个量使问题可以判定。泄漏斜率：只重抽目标图像的噪声，输出随之变化的比例。复制分数：输出等于含噪目标时为一，等于真值时为零，更差时为负。
# 残差与噪声的相关系数：残差是输出减去含噪图像的条件中位数，因为莱斯噪声的均值随信号而变（图中的残差减的是真值）。
# 此外还有噪声下限：不知道目标噪声的任何预测，其平均绝对误差都不可能低于条件中位数的误差。留出损失低于下限，输出里必有目标的噪声；
# 高于下限不排除部分泄漏，差额也未必能消除。
#
# 只有一个种子时，区间取自同一个脑的相邻切片，不含训练差异；曲线判据只有单值。莱斯噪声的均值不为零，用绝对误差训练学到的是中位数，PSNR 因而偏低。

# %% [markdown] tags=["lang-en"]
# ### How to tell
# Three measures make the question decidable. The leak: the share by which the output follows when only the noise of the target
# image is drawn anew. The copy score: one for an output that equals the noisy target, zero for the truth, negative for worse.
# The correlation of residual and noise: the residual is the output less the conditional median of the noisy image, since the
# mean of Rician noise follows the signal (the figures subtract the truth). And there is a noise floor: no prediction that does
# not know the target's noise can have a smaller mean absolute error than the conditional median. A held-out loss below it means
# that the target's noise is in the output; above it a partial leak is not excluded, and the gap need not be removable.
#
# With one seed, intervals run over neighbouring slices of one brain and hold no training variation; verdicts on curves rest on
# one value. Rician noise is not zero-mean: trained on the absolute error, the network learns the median, which lowers the PSNR.

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 泄漏看得见
# 下图把残差（输出减真值）放在目标噪声旁边。两者相同，就说明输出照抄了目标。

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### The leak can be seen
# The residual (output less truth) stands beside the noise of the target. Where the two look alike, the output has copied its
# target.

# %%
trained = study.train(config, data, runtime)
images = study.gallery(trained, config, data, runtime)
report.figure(
    "gallery",
    plots.gallery(images, noise=config.noise_sigma),
    "跨域输出：真值、含噪目标、输出、残差与目标噪声。",
    "Cross outputs: truth, noisy target, output, residual, and the target's noise.",
)

# %%
scored = study.scores(trained, data, runtime)
cross, same = (scored.query(f"sweep == 'main' and path == '{path}'") for path in ("cross", "same"))
pure, extreme, progressive = "pure_noise2noise", "extreme_denoising", "progressive"
leak = study.score(cross, "original", "leak")
cured, other_skips = (study.score(cross, arm, "corr_target") for arm in (pure, "latent_skips"))
psnr, none = (study.score(cross, arm, "psnr_db").shown("z.2f") for arm in ("latent_skips", pure))
verdicts = report.judge(H1=leak, H2=cured, H3=other_skips.saying(psnr=psnr, none=none))

# %%
verdicts |= report.judge(
    H6=study.score(same, pure, "leak"),
    H31=study.score(same, "no_skip_everywhere", "leak"),
    H32=study.score(cross, pure, "corr_latent"),
    H47=study.score(cross, pure, "corr_neighbour"),
)

# %% [markdown] tags=["lang-zh"]
# ### 损失与里程碑
# 原文的四项成功标准之一是跨域损失的里程碑。损失是两个域的平均绝对误差之和；图中三角是原文的里程碑，虚线是噪声下限。
# 曲线降到虚线以下并不是好消息：网络不是看到了目标的噪声，就是记住了训练集的噪声；要由留出损失区分。

# %% [markdown] tags=["lang-en"]
# ### Loss and milestones
# One of the document's four criteria of success are milestones of the cross loss. The loss is the sum of the mean absolute
# errors of both domains; triangles are the document's milestones, the dashed line is the noise floor. A curve that dips below
# that line is no good news: the network either sees its target's noise or has memorised the training set's; the held-out loss
# tells which.

# %%
curves = study.histories(trained)
main, floor = curves.query("sweep == 'main'"), study.train_floor(config, data)
report.figure("loss", plots.cross_loss(main, study.MILESTONES, floor), "训练中的跨域损失。", "The cross loss in training.")

# %%
first = study.at_epoch(main, pure, "train_cross", 1)
verdicts |= report.judge(
    H8=first.mapped(lambda loss: loss - study.MILESTONES[1]),
    H9=study.at_epoch(main, pure, "train_cross", 10),
    H10=study.at_epoch(main, pure, "train_cross", 20),
    H13=study.left(main, pure, "train_cross", 5, floor),
    H27=study.at_epoch(main, pure, "train_recon").mapped(lambda loss: loss / floor),
    H28=study.at_epoch(main, "original", "train_cross").saying(floor=floor, leak=leak.shown("z.2f")),
)

# %%
reached = study.milestones(curves, floor)
report.table("milestones", reached, "里程碑处的跨域损失。", "The cross loss at the milestones.", source=study.milestones)

# %%
report.figure(
    "psnr",
    plots.psnr_by_epoch(main, scored.query("sweep == 'main'").noisy_psnr_db.mean()),
    "验证切片上跨域输出的 PSNR；高于含噪图像的水平线才算去了噪。",
    "PSNR of the cross output on validation slices; only above the noisy image's level has it denoised.",
)

# %%
winner = study.lowest_loss(main)
gained, winner_leak = study.score(cross, winner, "gain_db"), study.score(cross, winner, "leak").shown("z.2f")
verdicts |= report.judge(H14=gained.saying(name=winner, leak=winner_leak))

# %% [markdown] tags=["lang-zh"]
# 训练之外的切片上，损失与噪声下限之差直接说明输出里有没有目标的噪声。

# %% [markdown] tags=["lang-en"]
# On held-out slices the loss less its noise floor tells directly whether the target's noise is in the output.

# %%
floors = study.floor_test(cross)
report.table("floors", floors, "留出损失与噪声下限。", "Held-out loss and noise floor.", source=study.floor_test)
report.figure(
    "floors",
    plots.floors(floors),
    "留出跨域损失与噪声下限之差（按切片配对的区间）；落在零线左侧即输出里有目标的噪声。",
    "Held-out cross loss less its noise floor (paired over slices); left of zero the target's noise is in the output.",
)

# %%
verdicts |= report.judge(H15=study.floor_gap(cross, pure), H44=study.floor_gap(cross, "original"))

# %% [markdown] tags=["lang-zh"]
# ### 内容损失
# 实线是内容损失本身，点线是它与潜表示方差之比，虚线是原文的目标值。把潜表示整体缩小一半，实线降到四分之一，点线不变；
# 只有点线能说明两幅图像的潜表示是否一致。

# %% [markdown] tags=["lang-en"]
# ### The content loss
# Solid lines are the content loss itself, dotted lines its ratio to the latents' variance, the dashed line is the document's
# goal. Shrink the latents to half their size, and the solid line falls to a quarter while the dotted one stays: the dotted line
# alone tells whether the two latents agree.

# %%
report.figure(
    "content",
    plots.content(main),
    "内容损失的绝对值，以及它与潜表示方差之比。",
    "The content loss as it is, and over the variance of the latents.",
)
kept = study.kept_latent(main, pure)
content, ratio = (study.at_epoch(main, pure, column) for column in ("val_content", "val_content_ratio"))

# %%
verdicts |= report.judge(
    H11=content.saying(kept=kept.shown(".0%")),
    H12=ratio,
    H45=study.at_epoch(main, pure, "val_content", 5),
    H38=study.at_epoch(study.first_stage(main), progressive, "val_content_ratio"),
    H43=kept,
    H30=study.kept_latent(main, progressive),
)

# %% [markdown] tags=["lang-zh"]
# ### 质量与经典方法
# 三种经典方法只用一幅含噪图像，强度在验证切片上对照真值挑选，因而偏乐观。跨域输出只用对方的图像，
# 等于由一种对比度推出另一种；同域输出只用自己的图像。

# %% [markdown] tags=["lang-en"]
# ### Quality, beside classical methods
# The three classical methods see one noisy image; their strength is chosen against the truth on validation slices, which
# flatters them. A cross output sees the partner's image alone, and so infers one contrast from the other; a same-domain output
# sees its own image alone.

# %%
compared = study.comparison(scored, study.classical(config, data))
report.figure(
    "scores",
    plots.scores(compared),
    "物体内部的 PSNR；斜纹为同域输出，虚线为含噪图像。",
    "PSNR inside the object; hatched: same-domain outputs; dashes: the noisy image.",
)

# %%
report.table(
    "scores", compared, "留出切片上的得分（物体内部）。", "Scores on held-out slices, inside the object.", source=study.scores
)

# %%
better = study.score(cross, pure, "gain_db")
best = compared[compared.path == "single"].sort_values("psnr_db").iloc[-1]
verdicts |= report.judge(
    H7=better,
    H33=study.score(cross, pure, "detail").saying(method=best.method, kept=best.detail),
    H26=study.gap(cross, "latent_skips", pure, "detail"),
    H58=study.gap(cross, "target_skips", pure, "detail"),
)

# %%
report.figure(
    "same",
    plots.gallery(images, path="same", noise=config.noise_sigma),
    "同域输出：真值、含噪图像、输出、残差与噪声；残差若像噪声，输出就是照抄。",
    "Same-domain outputs: truth, noisy image, output, residual and noise; a residual that looks like the noise is a copy.",
)

# %%
report.figure(
    "epochs",
    plots.by_epoch(study.snapshots(trained, config, data)),
    "一张验证切片的跨域输出随训练的变化。",
    "The cross output of one validation slice as training goes on.",
)

# %% [markdown] tags=["lang-zh"]
# ### 其他配置与两种方案
# 不同配置之间的小差别，单个随机种子分不清是优劣还是运气，因此至少要三个种子才下结论。

# %% [markdown] tags=["lang-en"]
# ### Other configurations and the two plans
# One seed cannot tell a better configuration from a lucky one where differences are small; these claims take three seeds or
# more.

# %%
costs = study.costs(trained)
report.table(
    "costs",
    study.cost_table(costs),
    "参数量、用时、达到阈值的轮数、验证曲线的平稳度（跨域与重建）与最终的内容差异（各随机种子的平均）。",
    "Parameters, seconds, epochs to thresholds, steadiness of the validation curves, content ratio (means over the seeds).",
    source=study.costs,
)

# %%
verdicts |= report.judge(
    H16=study.gap(cross, extreme, pure, "psnr_db"),
    H54=study.best_gap(cross, extreme, [pure, progressive], "psnr_db"),
    H25=study.gap_at_epoch(main, extreme, pure, "train_cross", 5),
    H55=study.gap_at_epoch(main, extreme, progressive, "train_cross", 5),
    H36=study.weights_over(config, extreme, pure),
)

# %%
spent = costs.query("sweep == 'main'")
verdicts |= report.judge(
    H35=study.gap(spent, extreme, pure, "epochs_to_0.3"),
    H39=study.gap(spent, progressive, extreme, "seconds"),
    H17=study.gap(spent, progressive, "pure_long", "roughness"),
    H56=study.gap(spent, progressive, extreme, "roughness"),
    H34=study.cost(spent, pure, "roughness"),
    H46=study.cost(spent, pure, "recon_roughness"),
)

# %%
verdicts |= report.judge(
    H18=study.gap(cross, progressive, "pure_long", "psnr_db"),
    H19=study.best_gap(cross, progressive, [pure, extreme], "psnr_db"),
    H50=study.gap(cross, progressive, "pure_long", "l1"),
    H57=study.left(study.first_stage(main), progressive, "train_recon"),
)

# %%
projected = study.projection(config, data, trained, runtime)
report.table(
    "projection",
    projected,
    "本次运行的实际开销，以及 `full` 运行档在本设备上的推算（未实际运行）。",
    "What this run took, and what the `full` profile would take on this device (computed, not run).",
    source=study.projection,
)

# %% [markdown] tags=["lang-zh"]
# ### 噪声水平、损失权重与潜表示
# 每次只改一项设定。噪声水平的扫描回答原文的建议能否奏效；其余扫描检验各项权重与潜表示的大小，也就是调试指南的处理办法。

# %% [markdown] tags=["lang-en"]
# ### Noise level, loss weights and latent
# One setting is varied at a time. The sweep of the noise level asks whether the document's advice works; the others test the
# weights and the size of the latent, which are the remedies of its debugging guide.

# %%
sweeps = study.sweep_table(scored)
if len(sweeps):
    zh = "噪声水平、损失权重与潜表示大小的扫描：PSNR（虚线为含噪图像）、泄漏斜率、保留的细节。"
    en = "Sweeps of the noise level, the loss weights and the latent size: PSNR (dashes: the noisy image), leak, detail kept."
    report.table("sweeps", sweeps, "各扫描点的跨域得分。", "Cross scores at every point.", source=study.sweep_table)
    report.figure("sweeps", plots.sweeps(sweeps), zh, en)

# %%
swept, at = scored.query("path == 'cross'"), study.setting
verdicts |= report.judge(
    H4=study.score(swept, at("noise_sigma", 0.01, "original"), "leak").saying(usual=leak.shown("z.2f")),
    H5=study.score(swept, at("noise_sigma", 0.01), "gain_db"),
    H29=study.score(swept, at("noise_sigma", 0.25), "gain_db").saying(usual=better.shown("z.2f")),
    H37=study.gap(swept, at("noise_sigma", 0.25, extreme), at("noise_sigma", 0.25), "psnr_db"),
)

# %%
verdicts |= report.judge(
    H20=study.gap(swept, at("latent", 512), at("latent", 256), "psnr_db"),
    H49=study.gap(swept, at("latent", 512), at("latent", 256), "l1"),
    H40=study.gap(swept, at("latent", 512), at("latent", 256), "detail"),
    H21=study.gap(swept, at("recon", 0.05), at("recon", 0.2), "l1"),
    H22=study.gap(swept, at("recon", 0.3), at("recon", 0.2), "detail"),
    H51=study.gap(swept, at("recon", 0.2), at("recon", 1.0), "corr_latent"),
)

# %%
rate, clipping = reported("noise2noise.learning_rate"), reported("noise2noise.grad_clip")
verdicts |= report.judge(
    H23=study.gap(swept, at("edge", 0.05), at("edge", 0.0), "detail"),
    H24=study.gap(swept, at("content", 1.0), at("content", 0.0), "psnr_db"),
    H48=study.gap(swept, at("cross", 1.0), at("cross", 0.1), "psnr_db"),
    H52=study.gap(costs, at("content", 1.0), at("content", 0.0), "content_ratio"),
    H53=study.gap(costs, at("content", 0.5), at("content", 1.0), "content_ratio"),
    H41=study.one_setting("learning_rate", rate["default"], rate["stage_2"]),
    H42=study.one_setting("clip", clipping["default"], clipping["if_unstable"]),
)

# %% [markdown] tags=["lang-zh"]
# ### 调试指南
# 原文的调试指南在这里变成可执行的检查：四项设置检查，以及损失不降、图像模糊、训练不稳定三种情形；另加坍缩与泄漏检查，阈值与“更多轮数”为本研究所加。

# %% [markdown] tags=["lang-en"]
# ### The debugging guide
# The document's guide, made executable: four checks of the set-up, and the cases of a loss that does not fall, blur and
# instability; checks of collapse and leak, the thresholds and the remedy of more epochs are ours.

# %%
findings = study.diagnosis(study.diagnose(trained, scored, data, floor))
report.table(
    "diagnosis", findings, "对每个配置运行调试指南。", "The debugging guide, run on every configuration.", source=study.diagnose
)

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见
# - 照抄目标的输出损失为零，后两个里程碑都能达标。所以损失要与噪声下限、泄漏斜率一起看，不能单独使用。
# - 同域输出的目标就是自己的含噪图像，有跳跃连接时可以照抄噪声。跨域输出没有用到目标图像本身；两条路径都去掉跳跃连接够不够，见 H31。
# - 内容损失的绝对值会随潜表示的标度一起变小，应看它与方差之比。两种对比度的明暗可以相反，潜表示形状一致并不等于内容一致。
# - 噪声水平是数据的性质，不是可以调小的超参数；训练时额外加的噪声（`augment_sigma`）才是。

# %% [markdown] tags=["lang-en"]
# ## 4 Insights
# - A copy of the target has a loss of zero and meets the last two milestones. Read the loss beside the noise floor and the
#   leak.
# - The target of a same-domain output is its own noisy image, and with skips it can copy that noise. The cross output never
#   uses the target image; whether it is enough to drop the skips of both paths is H31.
# - The absolute content loss shrinks with the scale of the latents; look at its ratio to their variance. Two contrasts may have
#   light and dark reversed: latents that agree in shape need not agree in content.
# - The noise level is a property of the data, not a hyper-parameter to turn down; the noise added in training (`augment_sigma`)
#   is one.

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 能推广的是结构上的事实：跨域路径若不接目标图像的跳跃连接，网络无论大小都看不到目标的噪声；接上之后漏进多少，则由 H1 测出。
# 不能照搬的是分贝数：默认数据是平滑的平均脑，其中一种对比度由方程合成，网络规模见页首；配置之间的小差别还受学习率和轮数左右。
# 下一步是用 fastMRI 的成对数据（`data_dir`）按原文的规模重做。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# What carries over is structure: without the target's skips in the cross path a network of any size never sees its target's
# noise; how much gets in with them is what H1 measures. What does not carry over are the decibels: the default data are a
# smooth average brain, one contrast is made by an equation, and the network has the size stated at the top; small differences
# between configurations also depend on learning rate and epochs. The next step is paired fastMRI data (`data_dir`) at the
# document's size.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
published = study.publish(trained, report.model_dir, data.images)
report.text(
    "发布的模型是 `{name}`：{reason}。用 `denoise` 命令可以把它用到自己的图像上。",
    "The published model is `{name}`, {reason}. The command `denoise` applies it to a file.",
    name=published,
    reason=study.reason(published),
)
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")

# %%
numbers = study.numbers(config, data, costs, compared)
seen = {"leak": leak.shown("z.2f"), "corr": cured.shown("z.2f"), "other": other_skips.shown("z.2f")}
told = {"winner": winner, "gain": gained.shown("+.2f"), "winner_leak": winner_leak}
report.fact("leak_original", leak.value, "`original` 的泄漏斜率", "leak of `original`")
report.fact("content_ratio", ratio.value, "潜表示差异与方差之比", "latent difference over variance")
report.fact("psnr_noisy_db", numbers["noisy"], "含噪图像的 PSNR", "PSNR of the noisy image", unit="dB")
report.fact("psnr_cross_db", numbers["psnr"], "最好的跨域输出的 PSNR", "PSNR of the best cross output", unit="dB")
report.fact("psnr_classical_db", numbers["classical"], "最好的经典方法的 PSNR", "PSNR of the best classical method", unit="dB")
report.fact("noise_floor", floor, "训练跨域损失的噪声下限", "noise floor of the training cross loss")
report.fact("train_seconds", costs.seconds.sum(), "训练用时", "seconds of training", unit="s")

# %%
expected = "noise2noise.cross_loss_expected.1"
zh, en = "`full` 运行档在本设备上的推算用时", "hours of the `full` profile on this device, computed"
report.fact("cross_loss_1", first.value, "第一轮的跨域损失", "cross loss after the first epoch", reported_as=expected)
report.fact("full_hours", projected.hours.iloc[-1], zh, en, unit="h")

# %%
answer, short = study.answer(verdicts)
few = {name: (seen | numbers)[name] for name in ("leak", "corr", "psnr", "classical")}
report.finish(
    answer=pair(**answer, **seen, **told, **numbers),
    short=pair(**short, **few),
    implications=study.advice(verdicts),
    provenance=rt.provenance(runtime),
    figure="gallery",
    seeds=range(config.seed, config.seed + config.n_seeds),
)

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中选择配置、路径与图像域，图随之更新；需要先安装可选依赖：`pip install -e ".[explore]"`。
# 批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose a configuration, a path and a domain, and the figure follows; this takes the optional extra:
# `pip install -e ".[explore]"`. A batch run draws the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
explore(
    lambda configuration, **shown: plots.gallery(images[images.arm == configuration], noise=config.noise_sigma, **shown),
    configuration=list(images.arm.unique()),
    path=["cross", "same"],
    domain=["a", "b"],
)
