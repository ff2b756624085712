# %% [markdown] tags=["lang-zh"]
# # 盲点去噪器的潜表示里有多少表面重力？

# %% [markdown] tags=["lang-en"]
# # How much surface gravity do the latents of a blind-spot denoiser hold?

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
train_path = []
val_path = ""
test_path = ""
grid_path = ""
window_aa = [8412.0, 8850.0]
mask_ratio = 1.0
noise_preset = "mag215"
error_source = "reference"
noise_level = 0.3
n_train = 512
n_val = 128
n_test = 256
labels = ["t_eff", "log_g", "m_h", "a_m", "c_m"]
checkpoint = ""
num_layers = 4
embed_dim = 8
kernel_size = 9
input_sigma = True
n_pretrain = 512
loss = "t1"
epochs = 1
batch_size = 32
learning_rate = 0.003
schedule = "onecycle"
clip = 0.0
sigma_start = 0.3
label_weight = 0.0
devices = 1
num_nodes = 1
strategy = "auto"
poolings = ["global_mean", "mean_max", "seg_mean_K8"]
direction = "mean"
edges = "adaptive"
arms = ["directions", "lightgbm", "documents_noise"]
random_seeds = 1
arm_epochs = 1
occlusion_rows = 128
mlp_epochs = 3
student_epochs = 5
n_boot = 100
ceiling_stars = 32

# %%
from lib import runtime as rt
from lib.explore import explore
from lib.plots import explore as viewers
from lib.plots import latent_extraction as plots
from lib.report import Criterion, Report, pair, reported
from lib.studies import latent_extraction as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %%
report = Report(
    config,
    title=pair("潜表示提取方式与表面重力", "Latent extraction strategy for surface gravity"),
    question=pair("盲点去噪器的哪一层、哪种池化保留了表面重力（log g）的信息？",
                  "Which layer and pooling of a blind-spot denoiser keep the information on surface gravity (log g)?"),
    header={"experiment_id": reported("latent_extraction.experiment_id"), "author": "Viska Wei",
            "date": str(reported("latent_extraction.date")), "project": "BlindSpot", "topic": "distill", "mvp": "MVP 1.4",
            "model_version": f"l{config.num_layers}e{config.embed_dim}k{config.kernel_size}s{int(config.input_sigma)}bn1"},
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 盲点去噪器从邻近像素预测每个像素，从未见过标签。原文先前的探针（取编码器最后一层、对波长求全局平均）能很好地读出有效温度和金属丰度，
# 却几乎读不出表面重力。问题在于：信息是不在网络里，还是被提取方式抹掉了？原文认为，表面重力主要写在谱线的线翼里，例如钙三重线，
# 对整段波长求平均会把这种局部结构抹平；逐段遮挡（H9）检验信息在哪里。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# A blind-spot denoiser predicts every pixel from its neighbours and never sees a label. The documents' earlier probe (last encoder
# layer, global mean over wavelength) reads effective temperature and metallicity well, but hardly any surface gravity. Is the
# information absent from the network, or does the extraction erase it? The documents hold that gravity is written mostly in line wings,
# such as those of the Ca II triplet, and that a mean over all wavelengths levels such local structure; occlusion (H9) asks where it is.

# %%
report.hypothesis("H1", "验收：原文九个单元中最好的测试 R² 不低于 {limit}。",
                  "Acceptance: the best of the documents' nine cells has a test R² of {limit} or more.", limit=0.5)  # fmt: skip
report.hypothesis("H2", "假设：换层或换池化能把 R² 提到 {limit}；若停在 {stuck} 附近，就该换训练目标。",
                  "Hypothesis: another layer or pooling lifts R² to {limit}; stuck near {stuck}, the training objective must change.", limit=0.4, stuck=0.3)  # fmt: skip
report.hypothesis(
    "H3", "分段均值优于全局平均（同在 `enc_pre_latent`）。", "Segment means beat the global mean (both at `enc_pre_latent`)."
)
report.hypothesis(
    "H4", "`enc_pre_latent` 优于 `enc_last`（同为分段均值）。", "`enc_pre_latent` beats `enc_last` (both with segment means)."
)
# %%
report.hypothesis("H5", "池化的贡献大于层的贡献。", "Pooling contributes more than the layer.")

# %%
report.hypothesis(
    "H6",
    "解码器的输入就是 `enc_last`（逐元素之差为零）。",
    "What the decoder receives is `enc_last` (no difference in any element).",
)

# %%
report.hypothesis("H7", "全局平均已足够读出有效温度和金属丰度：R² 不低于 {limit}。",
                  "A global mean is enough for T_eff and [M/H]: R² of {limit} or more.", limit=0.95)  # fmt: skip
report.hypothesis("H8", "有效温度和金属丰度对池化不敏感：R² 之差不超过 {limit}。",
                  "T_eff and [M/H] are insensitive to pooling: R² differs by {limit} at most.", limit=0.02)  # fmt: skip
report.hypothesis("H9", "波长局部性：{all} 段中最关键的 {top} 段占去遮挡损失的一半以上。",
                  "Wavelength locality: the {top} most telling of {all} segments make up more than half of the occlusion losses.", all=8, top=2)  # fmt: skip
report.hypothesis("H10", "没有过拟合：训练与测试 R² 之差不超过 {limit}。", "No overfitting: train and test R² differ by {limit} at most.", limit=0.05)  # fmt: skip

# %%
report.hypothesis(
    "H11", "预训练的编码器优于同结构的随机编码器。", "The pretrained encoder beats random ones of the same architecture."
)
report.hypothesis("H12", "原文配置的潜表示优于直接用原始流量做岭回归。", "The documents' latents beat Ridge on the raw flux.")

# %%
report.hypothesis("H13", "误差通道不泄漏标签：只用误差向量的岭回归 R² 不超过 {limit}。",
                  "The error channel does not leak the label: Ridge on the error vector alone has R² of {limit} at most.", limit=0.05)  # fmt: skip

# %%
report.hypothesis("H14", "再拼上最大值有帮助：均值加最大值优于全局平均（同在 `enc_pre_latent`）。",
                  "A maximum beside the mean helps: together they beat the global mean (both at `enc_pre_latent`).")  # fmt: skip
report.hypothesis("H15", "分段均值优于均值加最大值（同在 `enc_pre_latent`）。", "Segment means beat mean and maximum (both at `enc_pre_latent`).")  # fmt: skip
report.hypothesis("H16", "提取方式是瓶颈：层和池化一起换，R² 提高。", "The extraction is the bottleneck: with layer and pooling both changed R² rises.")  # fmt: skip
report.hypothesis("H17", "存在比 `enc_last` 更强的层（同为分段均值）。", "Some layer is stronger than `enc_last` (both with segment means).")  # fmt: skip
report.hypothesis("H18", "中间层优于最后一层（同为全局平均）。", "The middle layer beats the last (both with the global mean).")

# %%
report.hypothesis("H19", "各标签的最优层不同：推荐单元至少来自 {count} 层。",
                  "The best layer differs between labels: the recommended cells come from {count} layers or more.", count=2)  # fmt: skip
report.hypothesis("H20", "八段已经够用：分成十六段（`enc_pre_latent`），R² 的提高不超过 {limit}。",
                  "Eight segments are enough: sixteen (at `enc_pre_latent`) raise R² by {limit} at most.", limit=0.01)  # fmt: skip
report.hypothesis("H21", "原先的提取方式（`enc_last` 加全局平均，LightGBM）几乎读不出 log g：R² 不超过 {limit}。",
                  "The earlier extraction (`enc_last`, global mean, LightGBM) reads hardly any log g: R² of {limit} at most.", limit=0.3)  # fmt: skip
report.hypothesis(
    "H22", "拼接全部层的全局平均，优于只取最后一层。", "The global means of all layers together beat those of the last alone."
)
report.hypothesis("H23", "预训练加入标签损失能提高 log g 的 R²（轮数相同）。",
                  "A label loss in the pretraining raises R² of log g (at equal epochs).")  # fmt: skip
report.hypothesis("H24", "蒸馏可行：学生网络的 R² 比教师单元低不超过 {limit}。", "Distillation works: the student's R² falls short of its teacher's by {limit} at most.", limit=0.05)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# 输入是归一化的含噪流量和噪声标准差两个通道。内置数据来自合成光谱网格加上模拟的光纤光谱仪噪声，与原文的 BOSZ 光谱不是同一个问题，
# 因此“原文报告值”只作对照。内置数据中，预训练、探针训练和测试所用的恒星互不相同；凡是选择（层、池化、岭回归惩罚）都只看验证集。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# The input has two channels, normalised noisy flux and its noise standard deviation. The embedded data are a synthetic grid of spectra
# under simulated noise of a fibre spectrograph: another problem than the documents' BOSZ spectra, so that reported values are there
# for comparison only. With the embedded data, stars for pretraining, for the probes and for the test are disjoint. Every choice (layer, pooling, Ridge
# penalty) looks at the validation set alone.

# %%
sets = study.prepare(config, runtime)
report.describe_data(**study.describe(config), n_train=config.n_train, n_pretrain=config.n_pretrain, n_test=config.n_test,
                     pixels=len(sets.test.wave), noise_level=config.noise_level)  # fmt: skip
report.text("每条光谱 {pixels} 个像素，预训练 {pre} 颗星，探针 {train} 颗训练星、{test} 颗测试星；噪声倍数 {level}（原文为 {full}）。",
            "Each spectrum has {pixels} pixels; {pre} stars for pretraining, {train} to fit the probes and {test} to test them; the noise factor is {level} (the documents': {full}).",
            pixels=len(sets.test.wave), pre=config.n_pretrain, train=config.n_train, test=config.n_test, level=config.noise_level, full=1.0)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 去噪器给出先验均值 $\mu$ 和标准差 $\sigma$，与像素自身的观测 $y$（噪声 $\sigma_n$）合成后验：
# $$\hat{x} = \frac{\sigma^2 y + \sigma_n^2 \mu}{\sigma^2 + \sigma_n^2}$$
# 损失 T1 是无噪流量在后验下的拉普拉斯似然（监督）；E1、E2 只看含噪像素（自监督）。sigma 输出的初值设为噪声的给定倍数（参数 `sigma_start`），否则增益反映的是初始化。
#
# `enc_pre_latent` 是编码器最后一级的输入，`enc_last` 是它的输出，`layer0` 等是更早的各级；`global_mean` 对全部波长求平均，`mean_max` 再拼上最大值，
# `seg_mean_K8` 把波长等分为八段、逐段求平均。一层加一种池化称为一个单元。盲点网络从两个方向读光谱，两个方向的特征取平均或拼接（参数 `direction`）。
#
# 各层潜表示经池化后交给两种探针：标准化特征上的岭回归（惩罚与原文相同）和 LightGBM。

# %% [markdown] tags=["lang-en"]
# The denoiser gives a prior mean $\mu$ and standard deviation $\sigma$, which meet the pixel's own observation $y$ (noise $\sigma_n$)
# in the posterior:
# $$\hat{x} = \frac{\sigma^2 y + \sigma_n^2 \mu}{\sigma^2 + \sigma_n^2}$$
# The loss T1 is the Laplace likelihood of the noiseless flux under the posterior (supervised); E1 and E2 look at the noisy pixel alone
# (self-supervised). The sigma output starts at a set fraction of the noise (parameter `sigma_start`): left alone, the gain would
# reflect the initialisation.
#
# `enc_pre_latent` is the input of the encoder's last stage, `enc_last` its output, `layer0` and so on are earlier stages; `global_mean`
# averages over all wavelengths, `mean_max` adds the maximum, `seg_mean_K8` averages within eight equal segments. A layer with a pooling is
# a cell. The blind-spot network reads a spectrum from two directions, whose features are averaged or joined (parameter `direction`).
#
# The pooled latents of every layer go to two probes: Ridge on standardised features (the documents' penalty) and LightGBM.

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 去噪

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Denoising

# %%
denoiser, history = study.pretrained(config, runtime, sets)
report.figure(
    "pretraining",
    plots.history(study.with_epochs(history)),
    "预训练的损失；验证损失若在最后仍在下降，说明预训练还可以更长。",
    "Loss of the pretraining; a validation loss that still falls at the end asks for a longer one.",
)
quality = study.measure(denoiser, sets.test)
report.table("denoising", quality, "测试集上的去噪效果；误差以噪声为单位，增益附区间，z 的标准差为一表示 sigma 校准良好。",
             "Denoising on the test set; errors in units of the noise, gains with intervals; a standard deviation of z of one means a calibrated sigma.",
             source=study.measure)  # fmt: skip

# %%
figure = plots.denoised(study.example(denoiser, sets.test))
report.figure("denoised", figure, "钙三重线附近的一条光谱：含噪、无噪、先验均值与后验；后验应比含噪流量更贴近无噪流量。",
              "One spectrum at the Ca II triplet: noisy, noiseless, prior mean and posterior; the posterior should lie closer to the noiseless flux than the noisy one.")  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 层与池化

# %% [markdown] tags=["lang-en"]
# ### Layer and pooling

# %%
cells = study.table_cells(config, denoiser, len(sets.test.wave))
probed = study.probe(config, denoiser, sets, cells)
truth, log_g = sets.test.labels.double().cpu().numpy(), config.labels.index("log_g")
table = study.with_reported(study.layer_pooling(probed.table), reported("latent_extraction.table"))
report.table("layer_pooling_results", table, "log g：全部层与池化（岭回归）。", "log g: every layer and pooling (Ridge).", source=study.probe)  # fmt: skip
report.text("表中没有的单元（该层剩下的像素 L' 少于分段数）：{cells}。", "Cells that the table cannot hold, since the layer keeps fewer pixels L' than there are segments: {cells}.",
            cells=study.cells_left_out(config, denoiser, len(sets.test.wave)))  # fmt: skip

# %%
nine = study.documents(table)
report.figure("cells", plots.cells(nine), "原文的九个单元：本次运行（柱与区间）与原文报告值（菱形，BOSZ 数据）。",
              "The documents' nine cells: this run (bars with intervals) and the reported values (diamonds, on BOSZ).")  # fmt: skip
ceilings = study.ceiling(config, sets)
ceiling = study.ceiling_of(ceilings)
report.table("ceilings", ceilings, "该噪声下 R² 的克拉默–拉奥上限估计：逐星的局部线性近似（高斯先验取标签方差；无先验时每颗星的界不超过标签方差）。",
             "Estimate of the Cramer-Rao ceiling of R² at this noise: a local linear approximation at each star (Gaussian prior of the labels' variance; without a prior a star's bound is clipped at that variance).",
             source=study.ceiling)  # fmt: skip

# %% tags=["nbval-check-output"]
best = study.chosen(study.documents(probed.table))
claim = study.r2_shown(best)
names = {"layer": best.layer, "pooling": best.pooling}
report.claim(
    "H1", metric="r2", criterion=Criterion("gt", 0.5), anchor="fig-cells", reported_as="mlp_head.ridge.test_r2", **claim, **names,
    supported=("{layer} + {pooling} 的测试 R² 为 {value:.3f}，通过验收。", "{layer} + {pooling} has a test R² of {value:.3f}: accepted."),
    refuted=("最好的 {layer} + {pooling} 也只有 {value:.3f}。", "Even the best, {layer} + {pooling}, has only {value:.3f}."),
    inconclusive=("{layer} + {pooling} 为 {value:.3f}，区间 {low:.3f} 到 {high:.3f} 跨过阈值。", "{layer} + {pooling} has {value:.3f}; the interval, {low:.3f} to {high:.3f}, crosses the threshold."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H2", metric="r2", criterion=Criterion("gt", 0.4, refute=0.3), anchor="fig-cells", reported_as="mlp_head.ridge.test_r2", **claim, **names,
    earlier=study.of(probed.table, layer="enc_last", pooling="global_mean", label="log_g").test_r2.iloc[0],
    supported=("{layer} + {pooling} 达到 {value:.3f}（原先的提取方式为 {earlier:.3f}）。", "{layer} + {pooling} reaches {value:.3f} (the earlier extraction: {earlier:.3f})."),
    refuted=("R² 停在 {value:.3f}（{layer} + {pooling}；原先的提取方式为 {earlier:.3f}）。", "R² is stuck at {value:.3f} ({layer} + {pooling}; the earlier extraction: {earlier:.3f})."),
    inconclusive=("{layer} + {pooling} 为 {value:.3f}（原先的提取方式为 {earlier:.3f}），区间跨过界限。", "{layer} + {pooling} has {value:.3f} (the earlier extraction: {earlier:.3f}); its interval crosses a limit."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 效应分解

# %% [markdown] tags=["lang-en"]
# ### Effect decomposition

# %%
effects = study.decomposition(probed, truth, log_g)
by_effect = effects.set_index("effect")
report.table("decomposition", study.with_reported_gain(effects, reported("latent_extraction")), "只换层、只换池化、两者都换的收益（同一批测试星的配对区间）。",
             "What changing the layer, the pooling, or both gives (paired intervals on the same test stars).", source=study.decomposition)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H3", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-decomposition", reported_as="latent_extraction.gains.pooling", **study.shown(by_effect.loc["pooling_only"]),
    supported=("分段均值把 R² 提高 {value:.3f}。", "Segment means raise R² by {value:.3f}."),
    refuted=("分段均值使 R² 变化 {value:.3f}。", "Segment means change R² by {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip
report.claim(
    "H4", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-decomposition", reported_as="latent_extraction.gains.layer", **study.shown(by_effect.loc["layer_only"]),
    supported=("取最后一次卷积之前的特征把 R² 提高 {value:.3f}。", "Features from before the last convolution raise R² by {value:.3f}."),
    refuted=("在这份数据和噪声下，最后一次卷积之后反而更好，差值 {value:.3f}。", "On these data and at this noise it is better after the last convolution: the difference is {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
versus = study.pooling_over_layer(probed, truth, log_g)
report.claim(
    "H5", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-decomposition", reported_as="latent_extraction.gains.pooling_less_layer", **versus,
    supported=("池化的收益比层的收益多 {value:.3f}。", "Pooling gains {value:.3f} more than the layer."),
    refuted=("池化的收益比层的收益少，差值 {value:.3f}。", "Pooling gains less than the layer; the difference is {value:.3f}."),
    inconclusive=("两种收益之差 {value:.3f} 的区间含零。", "The interval of the difference of the two gains, {value:.3f}, includes zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H14", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-decomposition", reported_as="latent_extraction.gains.mean_max", **study.shown(by_effect.loc["mean_max_only"]),
    supported=("拼上最大值把 R² 提高 {value:.3f}。", "The maximum raises R² by {value:.3f}."),
    refuted=("拼上最大值使 R² 变化 {value:.3f}。", "The maximum changes R² by {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip
report.claim(
    "H15", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-cells", reported_as="latent_extraction.gains.segments_over_mean_max",
    **study.between(probed, truth, log_g, ("enc_pre_latent", "seg_mean_K8"), ("enc_pre_latent", "mean_max")),
    supported=("分段均值高出 {value:.3f}。", "Segment means are {value:.3f} above."),
    refuted=("分段均值反而不如，差值 {value:.3f}。", "Segment means fall short; the difference is {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H16", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-decomposition", reported_as="latent_extraction.gains.both", **study.shown(by_effect.loc["both"]),
    supported=("两者都换，R² 提高 {value:.3f}。", "Changing both raises R² by {value:.3f}."),
    refuted=("两者都换，R² 变化 {value:.3f}。", "Changing both changes R² by {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip
report.claim(
    "H20", metric="gain", criterion=Criterion("lt", 0.01), anchor="tab-layer_pooling_results",
    **study.between(probed, truth, log_g, ("enc_pre_latent", study.FINER), ("enc_pre_latent", "seg_mean_K8")),
    supported=("十六段只多 {value:.3f}。", "Sixteen bring only {value:.3f} more."),
    refuted=("十六段还能多 {value:.3f}：八段不够细。", "Sixteen bring {value:.3f} more: eight are too coarse."),
    inconclusive=("十六段的收益 {value:.3f}，区间跨过阈值。", "Sixteen bring {value:.3f}; the interval crosses the threshold."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 逐层诊断与五个问题
# 原文预设三种模式：A 中间层高于最后一层；B 所有层都低；C 最后一层最高。这里的判法：最好的层也达不到 H2 的目标为 B；
# 另有一层高于最后一层、差值的区间在零以上为 A；其余为 C。

# %% [markdown] tags=["lang-en"]
# ### Layer by layer, and the five questions
# The documents foresee three patterns: A, a middle layer above the last; B, all layers low; C, the last layer highest. Here it is B where
# even the best layer misses the aim of H2, A where another layer is above the last with its whole interval, and C otherwise.

# %%
lines = study.curves(probed.table)
report.figure(
    "curves", plots.curves(study.of(lines, label="log_g"), ceiling=ceiling), "log g 的 R² 随层的变化。", "R² of log g by layer."
)
seen = study.pattern(probed, truth, log_g)
report.text("全局平均下判为模式 {pattern}：最好的是 `{layer}`，测试 R² 为 {r2:.3f}；最后一层之前最好的 `{other}` 与 `enc_last` 相差 {gain:+.3f}（区间 {gain_low:+.3f} 到 {gain_high:+.3f}）。",
            "Under the global mean this is pattern {pattern}: best is `{layer}` with a test R² of {r2:.3f}; `{other}`, the best of the layers before the last, differs from `enc_last` by {gain:+.3f} (interval {gain_low:+.3f} to {gain_high:+.3f}).", **seen)  # fmt: skip

# %%
answers = study.questions(probed, truth, config.labels)
report.table("questions", answers, "五个问题：Q1 有更强的层吗；Q2 加最大值有用吗；Q3 分段有用吗；Q4 中间层更好吗；Q5 各标签的最优层相同吗。",
             "The five questions: Q1 is there a stronger layer; Q2 does a maximum help; Q3 do segments help; Q4 is the middle layer better; Q5 is the best layer the same for all labels.",
             source=study.questions)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H17", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-curves", **study.strongest_layer(probed, truth, log_g),
    supported=("验证集选出的 `{layer}` 高出 {value:.3f}。", "`{layer}`, chosen by validation, is {value:.3f} above."),
    refuted=("没有：验证集选出的 `{layer}` 与之相差 {value:.3f}。", "No: `{layer}`, chosen by validation, differs by {value:.3f}."),
    inconclusive=("验证集选出的 `{layer}` 与之相差 {value:.3f}，区间含零。", "`{layer}`, chosen by validation, differs by {value:.3f}; the interval includes zero."),
)  # fmt: skip
report.claim(
    "H18", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-questions", **study.middle_layer(probed, truth, log_g),
    supported=("`{layer}` 高出 {value:.3f}。", "`{layer}` is {value:.3f} above."),
    refuted=("`{layer}` 反而不如，差值 {value:.3f}。", "`{layer}` falls short; the difference is {value:.3f}."),
    inconclusive=("`{layer}` 与之相差 {value:.3f}，区间含零。", "`{layer}` differs by {value:.3f}; the interval includes zero."),
)  # fmt: skip

# %%
trees = study.trees(config, runtime, sets, probed, study.variant_cells(probed.table).values())
report.table("variants", study.variants(probed.table, trees), "变体 V0 到 V5：岭回归与 LightGBM。", "Variants V0 to V5: Ridge and LightGBM.", source=study.variants)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H21", metric="r2", criterion=Criterion("lt", 0.3), anchor="tab-variants", reported_as="latent_extraction.earlier_linear_probe.logg_r2", **study.earlier_probe(trees),
    supported=("LightGBM 只读出 {value:.3f}。", "LightGBM reads only {value:.3f}."),
    refuted=("LightGBM 已能读出 {value:.3f}。", "LightGBM reads {value:.3f} already."),
    inconclusive=("LightGBM 读出 {value:.3f}，区间跨过阈值。", "LightGBM reads {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip
report.claim(
    "H22", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-variants",
    **study.between(probed, truth, log_g, ("all_layers", "global_mean"), ("enc_last", "global_mean")),
    supported=("拼接高出 {value:.3f}。", "Together they are {value:.3f} above."),
    refuted=("拼接没有更好，差值 {value:.3f}。", "Together they are no better; the difference is {value:.3f}."),
    inconclusive=("差值 {value:.3f} 的区间含零。", "The interval of the difference {value:.3f} includes zero."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 其他标签

# %% [markdown] tags=["lang-en"]
# ### The other labels

# %% tags=["nbval-check-output"]
report.figure(
    "labels", plots.labels(lines, ceilings), "各标签的 R² 随层的变化与上限。", "R² of every label by layer, with its ceiling."
)
plain = study.global_labels(probed.table)
report.claim(
    "H7", metric="r2", criterion=Criterion("gt", 0.95), anchor="fig-labels", **plain,
    supported=("较弱的 {name} 也有 {value:.3f}。", "Even the weaker, {name}, has {value:.3f}."),
    refuted=("{name} 只有 {value:.3f}。", "{name} has only {value:.3f}."),
    inconclusive=("{name} 为 {value:.3f}，区间跨过阈值。", "{name} has {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H8", metric="gain", criterion=Criterion("within", 0.02), anchor="fig-labels", **study.insensitive(probed, truth, config.labels),
    supported=("变化最大的 {name} 也只差 {value:.3f}。", "Even {name}, which changes most, differs by {value:.3f} only."),
    refuted=("{name} 因分段而变化 {value:.3f}：它对池化敏感。", "Segments change {name} by {value:.3f}: it is sensitive to pooling."),
    inconclusive=("{name} 变化 {value:.3f}，不足以判定。", "{name} changes by {value:.3f}; that decides nothing."),
)  # fmt: skip
report.table("recommended", study.recommended(probed.table), "各标签的推荐配置：验证 R² 与最好值相差不超过百分之一的单元中维度最小者。",
             "Recommended configuration per label: the smallest cell within one hundredth of the best validation R².", source=study.recommended)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H19", metric="count", criterion=Criterion("gt", 2), anchor="tab-recommended", **study.best_layers(probed.table),
    supported=("推荐单元来自 {value:.0f} 层：{names}。", "They come from {value:.0f} layers: {names}."),
    refuted=("推荐单元都来自同一层：{names}。", "They all come from one layer: {names}."),
    inconclusive=("推荐单元来自 {value:.0f} 层：{names}。", "They come from {value:.0f} layers: {names}."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 检查与对照

# %% [markdown] tags=["lang-en"]
# ### Checks and controls

# %% tags=["nbval-check-output"]
report.claim(
    "H6", metric="difference", value=study.decoder_difference(denoiser, sets.test), criterion=Criterion("lt", 1e-5), anchor="tab-layer_pooling_results",
    supported=("最大差为 {value:.2g}，二者是同一张量。", "The largest difference is {value:.2g}: they are the same tensor."),
    refuted=("最大差为 {value:.2g}。", "The largest difference is {value:.2g}."),
    inconclusive=("最大差为 {value:.2g}。", "The largest difference is {value:.2g}."),
)  # fmt: skip
report.claim(
    "H10", metric="gap", criterion=Criterion("lt", 0.05), anchor="tab-layer_pooling_results", reported_as="latent_extraction.train_less_test_r2", **study.overfitting(best),
    supported=("差为 {value:.3f}。", "The gap is {value:.3f}."), refuted=("差为 {value:.3f}。", "The gap is {value:.3f}."),
    inconclusive=("差为 {value:.3f}，区间跨过阈值。", "The gap is {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %%
hidden, share = study.occlusion(config, denoiser, sets, probed)
report.figure(
    "occlusion",
    plots.occlusion(hidden),
    "遮住一段波长后 R² 的损失（点线为钙三重线）。",
    "What hiding one wavelength segment costs (dotted: Ca II triplet).",
)

# %% tags=["nbval-check-output"]
report.table("occlusion", hidden, "逐段遮挡。", "Occlusion by segment.", source=study.occlusion)
report.claim(
    "H9", metric="share", criterion=Criterion("gt", 0.5), anchor="fig-occlusion", **share,
    supported=("最关键的两段占 {value:.0%}。", "The two most telling segments make {value:.0%}."),
    refuted=("最关键的两段只占 {value:.0%}。", "The two most telling segments make only {value:.0%}."),
    inconclusive=("最关键的两段占 {value:.0%}（区间 {low:.0%} 到 {high:.0%}）。", "The two most telling segments make {value:.0%} (interval {low:.0%} to {high:.0%})."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
random, drawn = study.random_encoders(config, sets)
controls, raw = study.controls(config, runtime, sets)
report.claim(
    "H11", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-arms", **study.over_random(probed, drawn, truth, log_g),
    supported=("比最好的随机编码器高 {value:.3f}。", "It is {value:.3f} above the best random encoder."),
    refuted=("与最好的随机编码器之差为 {value:.3f}。", "The difference to the best random encoder is {value:.3f}."),
    inconclusive=("与最好的随机编码器之差 {value:.3f} 的区间含零。", "The interval of the difference to the best random encoder, {value:.3f}, includes zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H12", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-arms", **study.over_raw(probed, best, raw, truth, log_g),
    supported=("比原始流量的岭回归高 {value:.3f}。", "They are {value:.3f} above Ridge on the raw flux."),
    refuted=("比原始流量的岭回归低，差值 {value:.3f}。", "They fall short of Ridge on the raw flux; the difference is {value:.3f}."),
    inconclusive=("与原始流量的岭回归之差 {value:.3f} 的区间含零。", "The interval of the difference to Ridge on the raw flux, {value:.3f}, includes zero."),
)  # fmt: skip
report.claim(
    "H13", metric="r2", criterion=Criterion("lt", 0.05), anchor="fig-arms", **study.r2_shown(study.of(controls, arm="error_only", label="log_g").iloc[0]),
    supported=("R² 为 {value:.3f}，线性探针读不出标签。", "R² is {value:.3f}: a linear probe reads no label."), refuted=("R² 为 {value:.3f}：误差通道带有标签信息。", "R² is {value:.3f}: the error channel carries the label."),
    inconclusive=("R² 为 {value:.3f}，区间跨过阈值。", "R² is {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %%
mlp = study.raw_mlp(config, runtime, sets)
more, left_out = study.further_arms(config, runtime, denoiser, sets, probed, best)
own = study.documents(probed.table)
rows = study.arms(own[own.layer != "dec_input"], trees, random, controls, mlp, more)
report.figure("arms", plots.arms(rows, ceiling=ceiling), "全部分支与对照的测试 R²。", "Test R² of all arms and controls.")
report.table("arms", rows, "全部分支与对照。", "All arms and controls.", source=study.arms)
report.text("本次运行未包含的分支：{arms}。", "Arms that this run leaves out: {arms}.", arms=left_out)

# %% tags=["nbval-check-output"]
report.claim(
    "H23", metric="gain", criterion=Criterion("gt", 0.0), anchor="tab-arms", **study.label_loss(config, more),
    supported=("标签损失把 R² 提高 {value:.3f}。", "The label loss raises R² by {value:.3f}."),
    refuted=("标签损失使 R² 变化 {value:.3f}。", "The label loss changes R² by {value:.3f}."),
    inconclusive=("R² 变化 {value:.3f}，区间含零。", "R² changes by {value:.3f}; the interval includes zero."),
)  # fmt: skip
report.claim(
    "H24", metric="gain", criterion=Criterion("gt", -0.05), anchor="tab-arms", **study.student(config, more, best),
    supported=("学生与教师相差 {value:+.3f}。", "The student differs from its teacher by {value:+.3f}."),
    refuted=("学生落后太多：相差 {value:+.3f}。", "The student falls too far behind: it differs by {value:+.3f}."),
    inconclusive=("相差 {value:+.3f}，区间跨过阈值。", "It differs by {value:+.3f}; the interval crosses the threshold."),
)  # fmt: skip

# %%
flow = study.flow(probed.table, controls)
report.figure("flow", plots.flow(flow, ceiling=ceiling), "信息流：从含噪流量到解码器输入，每一级能线性读出多少 log g（各层为分段均值，原始流量逐像素）；从左到右升高，说明这一级让信息更容易读出。",
              "Information flow: how much log g can be read linearly at each stage, from the noisy flux (pixel by pixel) to the decoder's input (layers: segment means); a rise from left to right is information made easier to read.")  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
strongest = study.chosen(probed.table)
linear = study.of(controls, arm="raw_flux", label="log_g", probe="ridge").iloc[0]
report.text(
    "在所有层中，验证集选出的是 `{layer}` + `{pooling}`（{dim} 维，测试 R² {value:.3f}）。同样的光谱直接做岭回归得 {raw:.3f}，MLP 得 {mlp:.3f}。"
    "只拿潜表示与线性基线相比会抬高编码器的功劳，因此表中同时给出原始流量的非线性基线。",
    "Over all layers validation chooses `{layer}` + `{pooling}` ({dim} dimensions, test R² {value:.3f}). Ridge on the spectra themselves "
    "has {raw:.3f}, an MLP {mlp:.3f}. To set latents against a linear baseline alone would flatter the encoder, so the table holds the "
    "nonlinear baselines on raw flux too.",
    layer=strongest.layer, pooling=strongest.pooling, dim=int(strongest.dim), value=strongest.test_r2, raw=linear.test_r2, mlp=mlp.test_r2.iloc[0],
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# sigma 若由无噪流量算出（参数 `error_source`），误差向量本身就会泄漏标签；本次运行是否泄漏，由只用误差向量的对照检验（H13）。
# E1 与 E2（运行档包含它们时）使用每轮重抽的噪声，严格说并非纯自监督：它们见过同一颗星的多个噪声样本。

# %% [markdown] tags=["lang-en"]
# A sigma computed from the noiseless flux (parameter `error_source`) would leak the label through the error vector; whether that of this
# run does is for the error-only control to tell (H13). E1 and E2, in a profile that has them, are trained with noise drawn anew every
# epoch, so that they see one star under many noises: not strictly self-supervised.

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 九个单元中所选单元的潜表示已导出为教师目标（`teacher.h5`），供蒸馏学生网络使用；学生网络、其他损失与自监督分支在完整运行档中检验。
#
# 局限：预训练只用了一个随机种子，区间只反映测试星的抽样，相近的单元换一个种子就可能易位；T1 损失见过无噪流量，结论不直接适用于纯自监督的
# 去噪器；内置数据的噪声倍数低于原文；遮挡使输入偏离训练时的分布，段的损失只能作相对比较。H10 的区间只含测试 R² 的误差，H23、H24 的区间由
# 两个分数各自的区间相加，比成对区间宽。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# The latents of the cell chosen among the nine are exported as a teacher's target (`teacher.h5`) for distilling a student; the student,
# the other losses and the self-supervised arms are tested in the full profile.
#
# Limits: the pretraining has one seed and the intervals resample test stars alone, so that cells close to each other may swap places with
# another seed; the loss T1 has seen the noiseless flux, and nothing here carries over to a purely self-supervised denoiser as it is; the
# noise of the embedded data is below the documents'; occlusion takes the input away from what the encoder was trained on, and its losses
# are to be compared with each other only. The interval of H10 holds the error of the test R² alone; those of H23 and H24 add the
# intervals of two scores and are wider than paired ones.

# %%
recipe = study.publish(config, report.model_dir, denoiser, sets, probed, (best.layer, best.pooling))
report.text("导出的教师配置：`{layer}` + `{pooling}`，方向 {direction}，分段边界 {edges}。",
            "The exported teacher: `{layer}` + `{pooling}`, direction {direction}, segment edges {edges}.", **recipe)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")
report.fact(
    "best_r2",
    best.test_r2,
    "九个单元中所选单元的测试 R²",
    "test R² of the cell chosen among the nine",
    reported_as="mlp_head.ridge.test_r2",
)

# %%
report.fact(
    "layer_gain_pct",
    study.percent(effects, "layer_only"),
    "层的收益",
    "gain of the layer",
    unit="%",
    reported_as="latent_extraction.layer_gain_pct",
)

# %%
report.fact(
    "pooling_gain_pct",
    study.percent(effects, "pooling_only"),
    "池化的收益",
    "gain of the pooling",
    unit="%",
    reported_as="latent_extraction.pooling_gain_pct",
)

# %%
report.fact(
    "both_gain_pct",
    study.percent(effects, "both"),
    "两者合计的收益",
    "gain of both",
    unit="%",
    reported_as="latent_extraction.both_gain_pct",
)
report.fact("snr_gain", quality.gain.iloc[-1], "去噪的信噪比增益", "gain in S/N by denoising")
report.fact("parameters", study.parameters(denoiser), "去噪器参数量", "parameters of the denoiser", reported_as="latent_extraction.denoiser.parameters")  # fmt: skip

# %%
scale = study.projected(runtime, steps=1)
report.fact("full_samples_per_second", scale["samples_per_second"], "原文尺寸的去噪器在本机的训练速度", "training speed of the documents' denoiser on this machine", unit="spectra/s")  # fmt: skip
report.fact("full_hours", scale["hours"], "按此速度完成原文预训练（十万条光谱、五千轮）所需时间", "time for the documents' pretraining (a hundred thousand spectra, five thousand epochs) at that speed", unit="h")  # fmt: skip

# %%
report.finish(
    answer=pair(
        "在原文比较的九种“层＋池化”中，验证集选出 {layer}＋{pooling}：岭回归读出 log g 的测试 R² 为 {value:.3f}（{data}，噪声倍数 {level}）。分段池化带来 {pool:+.3f}，换层带来 {layer_gain:+.3f}（区间 {low:+.3f} 到 {high:+.3f}）。放开到全部层与池化，最好的是 {top_layer}＋{top_pooling}，{top:.3f}；不用编码器、直接读原始流量的 MLP 为 {mlp:.3f}。",
        "Of the nine pairs of layer and pooling that the documents compare, validation chooses {layer} + {pooling}: Ridge reads log g off it with a test R² of {value:.3f} ({data}, noise factor {level}). Pooling by segments brings {pool:+.3f}, the layer {layer_gain:+.3f} (interval {low:+.3f} to {high:+.3f}). Over all layers and poolings the best is {top_layer} + {top_pooling} with {top:.3f}; an MLP on the raw flux, without the encoder, has {mlp:.3f}.",
        value=best.test_r2, level=config.noise_level, pool=by_effect.gain["pooling_only"], layer_gain=by_effect.gain["layer_only"], mlp=mlp.test_r2.iloc[0],
        low=by_effect.gain_low["layer_only"], high=by_effect.gain_high["layer_only"], top_layer=strongest.layer, top_pooling=strongest.pooling, top=strongest.test_r2,
        data=report.data.get("label", report.data["name"]), **names,
    ),
    short=pair("验证集选出 {layer}＋{pooling}，岭回归由此读出 log g，测试 R² 为 {value:.3f}。分段池化带来 {pool:+.3f}，换层带来 {layer_gain:+.3f}。",
               "Validation chooses {layer} + {pooling}, off which Ridge reads log g with a test R² of {value:.3f}. Pooling by segments brings {pool:+.3f}, the layer {layer_gain:+.3f}.",
               value=best.test_r2, pool=by_effect.gain["pooling_only"], layer_gain=by_effect.gain["layer_only"], **names),
    provenance=rt.provenance(runtime), figure="cells",
    implications=[pair("教师潜表示取 `{layer}` + `{pooling}`。", "Take `{layer}` + `{pooling}` as the teacher's latent.", **names)],
)  # fmt: skip

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以逐一选择层与池化的组合以及标签，图随之更新；需要先安装可选依赖：`pip install -e ".[explore]"`。批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose a layer with its pooling, and a label, and the figure follows; this takes the optional extra: `pip install -e ".[explore]"`. A batch run draws
# the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
by_name = {" + ".join(cell): values for cell, values in probed.predictions.items()}
explore(
    lambda cell, label: viewers.agreement(truth[:, config.labels.index(label)], by_name[cell][:, config.labels.index(label)], label),
    cell=list(by_name), label=config.labels,
)  # fmt: skip
