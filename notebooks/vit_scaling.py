# %% [markdown] tags=["lang-zh"]
# # 更多光谱，更准的 $\log g$？Vision Transformer 的规模曲线与它上方的极限

# %% [markdown] tags=["lang-en"]
# # More spectra, better $\log g$? A Vision Transformer's scaling curve and the ceiling above it

# %% tags=["parameters"]
# 常用参数 / the parameters that matter most
profile: str = "smoke"  # 运行档：smoke、quick 或 full / profile: smoke, quick or full
seed: int = 42  # 随机种子 / random seed
device: str = "auto"  # 计算设备：auto、cpu、cuda 或 cuda:N / auto, cpu, cuda or cuda:N
data_dir: str = ""  # 用户数据目录（空：内置默认数据） / folder of the user's data (empty: embedded default)
out_dir: str = ""  # 结果目录（空：build/<运行档>/<研究>） / folder of all results (empty: build/<profile>/<study>)
train_path: list = []  # 训练用 HDF5 文件或分片（空：内置网格） / HDF5 file or shards to train on (empty: the grid)
label: str = "log_g"  # 预测的标签 / label to predict
sizes: list[int] = [128, 256, 512]  # 规模阶梯的训练样本数 / training sizes of the ladder
epochs: list[int] = [2, 2, 2]  # 各规模的训练轮数 / epochs at each size
fresh_sizes: list[int] = [512]  # 另用逐轮新噪声训练的规模 / sizes also trained with fresh noise
fresh_epochs: list[int] = [2]  # 这些规模的训练轮数 / epochs at these sizes
ablations: list[str] = ["run_2", "tokenizer_sw"]  # 消融实验的名称 / arms

# 其余参数 / the rest
precision: str = "auto"  # 训练精度 / arithmetic of training
num_threads: int = 0  # CPU 线程数 / CPU threads
force: bool = False  # 忽略运行缓存 / ignore the run cache
lang: str = "zh"  # 首先显示的语言 / language shown first
val_path: str = ""  # 验证光谱的 HDF5 文件 / HDF5 file of validation spectra
test_path: str = ""  # 测试光谱的 HDF5 文件 / HDF5 file of test spectra
grid_path: str = ""  # 光谱网格文件（空：内置合成网格） / spectral grid (empty: the embedded synthetic grid)
data_mode: str = "auto"  # 文件中光谱的存放方式 / where spectra of files are kept
n_val: int = 256  # 验证光谱数 / validation spectra
n_test: int = 512  # 测试光谱数 / test spectra
noise_preset: str = "mag205_225"  # 观测条件：mag215 或 mag205_225 / observing conditions: mag215 or mag205_225
error_source: str = "reference"  # 噪声标准差取自何处（见 lib.data.noise） / whose photons set sigma (see lib.data.noise)
noise_level: float = 1.0  # 噪声倍数 / factor on sigma
window_aa: list[float] = [8412.0, 8850.0]  # 波长窗口（空：全部像素） / wavelength window (empty: all pixels)
patch_size: int = 128  # 每个词元的像素数 / pixels per token
hidden_size: int = 16  # 词元宽度 / width of a token
num_layers: int = 1  # 编码器层数 / encoder blocks
num_heads: int = 2  # 注意力头数 / attention heads
tokenizer: str = "C1D"  # Run 1 的分块方式：C1D 或 SW / tokenizer of Run 1: C1D or SW
pos_encoding: str = "learned"  # Run 1 的位置编码 / positions of Run 1
pooling: str = "cls"  # Run 1 的池化 / pooling of Run 1
init: str = "reference"  # Run 1 的初始化 / initialisation of Run 1
dropout: float = 0.1  # 随机失活率 / dropout
input_scaling: str = "pixel"  # pixel：按训练样本逐像素标准化 / pixel: standardise each pixel on training rows
loss: str = "mse"  # Run 1 的损失 / loss of Run 1
label_norm: str = "standard"  # Run 1 的标签归一化 / label normalisation of Run 1
lr: float = 0.002  # AdamW 学习率 / learning rate of AdamW
min_lr: float = 1e-05  # 余弦调度的终值 / end of the cosine schedule
weight_decay: float = 0.01  # 权重衰减 / weight decay
betas: list[float] = [0.9, 0.999]  # AdamW 的 beta / AdamW's betas
batch_size: int = 32  # 每步光谱数 / spectra per step
schedule: str = "cosine"  # 学习率调度 / learning-rate schedule
warmup_steps: int = 10  # 线性预热步数 / steps of linear warm-up
clip: float = 0.5  # 梯度裁剪（0：关闭） / gradient clip (0: off)
patience: int = 500  # 早停耐心（轮） / epochs without gain before stopping
deterministic: bool = True  # 要求确定性算子 / ask for deterministic kernels
compile_model: bool = False  # 用 torch.compile 编译模型（GPU） / torch.compile the model (GPU)
devices: int = 1  # 每个节点的设备数 / devices per node
num_nodes: int = 1  # 节点数 / nodes
strategy: str = "auto"  # 多设备时的 Lightning 策略 / Lightning strategy for several devices
logger: str = "csv"  # 训练日志；wandb 为离线模式 / training log; wandb stays offline
workers: int = 1  # 计算扫描点的进程数 / processes that compute sweep points
baseline_copies: int = 2  # 新噪声协议下基线的噪声副本数 / noise copies per star of the baselines under fresh noise
repeats: int = 1  # 最大规模的随机种子数 / seeds of the ladder's largest size
ablation_size: int = 256  # 消融实验的训练样本数 / training rows of an ablation
ablation_epochs: int = 2  # 消融实验的训练轮数 / epochs of an ablation
noise_levels: list[float] = [0.0, 2.0]  # 噪声扫描的倍数 / noise factors of the sweep
noise_size: int = 256  # 噪声扫描的训练样本数 / training rows of the noise sweep
noise_epochs: int = 2  # 噪声扫描的训练轮数 / epochs of the noise sweep
lightgbm_leaves: list[int] = [15]  # 在验证集上搜索的 LightGBM 叶数 / LightGBM leaves searched on validation
lightgbm_rates: list[float] = [0.1]  # 搜索的 LightGBM 学习率 / LightGBM rates searched
lightgbm_rounds: int = 50  # LightGBM 轮数上限（验证早停） / LightGBM rounds at most; validation stops
lightgbm_features: float = 0.25  # 每棵树使用的像素比例 / share of pixels per tree
lightgbm_bins: int = 63  # LightGBM 每个像素的分箱数 / LightGBM bins per pixel
ridge_alphas: list[float] = [1.0, 100.0, 10000.0]  # 搜索的 Ridge 惩罚 / Ridge penalties searched
fit_draws: int = 100  # 区间所用的自助抽样次数 / bootstrap draws behind intervals
ceiling_stars: int = 64  # 计算克拉默–拉奥上限的测试星数 / test stars behind the Cramer-Rao ceiling

# %%
from lib import runtime as rt
from lib.data import frames
from lib.data.windows import features_between
from lib.explore import explore
from lib.models.layers import PatchTokenizer
from lib.models.vit import SpectrumViT, parameter_table, shape_trace
from lib.plots import explore as viewers
from lib.plots import spectra as spectra_plots
from lib.plots import vit_scaling as plots
from lib.report import Report, reported
from lib.studies import vit_scaling as study
from lib.studies.vit_scaling import checks, measures, tables

# %%
config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 把一维光谱切成小块（词元），交给 Transformer 编码器，回归表面重力 $\log g$。原文的实验只跑到一半：第一次训练未到终点，
# 第二次训练（换了损失、分块方式和标签归一化）还没有结果，与基线的比较也留待以后。本研究（默认在内置的合成光谱上）做这些比较，
# 并在曲线上方画出数据本身允许的上限。原文自己的结论列在下面；其余论断各在判定它的图表之下，附录有总表。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# A one-dimensional spectrum is cut into patches (tokens), and a Transformer encoder regresses surface gravity $\log g$
# from them. The document stops half-way: its first run had not ended, its second (another loss, tokenizer and label
# normalisation) had no result, and the comparison with baselines was left for later. This study makes these
# comparisons, by default on embedded synthetic spectra, and draws the ceiling that the data allow. The document's own
# conclusions are listed here; every other claim stands under the figure or table that decides it, and the appendix has
# them all.

# %%
report = Report(config)
report.conclusions()

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# ### 数据与噪声
# 默认数据是内置的合成光谱网格（局部热动平衡、平面平行大气），不是原文的 BOSZ 光谱：两者的 $R^2$ 不能直接相比，
# 页面上的“原文报告值”只作参照。噪声为 $\tilde f_i = f_i + \epsilon_i,\ \epsilon_i \sim N(0, (\lambda\,\sigma_i)^2)$，
# 其中 $\lambda$ 是噪声倍数。验证集与测试集的噪声固定；训练集有两种协议：固定（每颗星只有一次噪声抽样）与逐轮新抽。
# 两种协议分开比较，从不混用。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# ### Data and noise
# The default data are the embedded synthetic grid (local thermodynamic equilibrium, plane-parallel atmospheres), not
# the document's BOSZ spectra: their $R^2$ cannot be set against each other, and a "reported" value is shown for
# orientation only. The noise is $\tilde f_i = f_i + \epsilon_i,\ \epsilon_i \sim N(0, (\lambda\,\sigma_i)^2)$ with the
# noise level $\lambda$. Validation and test noise is fixed. Training follows two protocols, fixed (one draw per star)
# and fresh (a new draw every epoch); they are compared separately and never mixed.

# %%
results = study.run(config, runtime)
sets = results.sets
report.describe_data(**tables.describe(results))
quantiles = tables.snr_quantiles(results, reported("vit_scaling.public.snr_quantiles_test_10k"))
report.table("snr", quantiles, source=tables.snr_quantiles)

# %%
if len(quantiles):
    marks = quantiles.rename(columns={"reported_public": "reported"})
    report.figure("snr", spectra_plots.snr(sets.stars, marks))

# %%
features = [(f.name, f.wave_aa) for f in features_between(float(sets.wave[0]), float(sets.wave[-1]))]
report.figure("example", plots.example(tables.example(results), features))

# %%
report.judge(H42=checks.redrawn(results), H43=checks.sigma_follows_flux(results))

# %%
if sets.grid is not None:
    giant_and_dwarf = spectra_plots.spectra(frames.gravity_pair(sets.grid), frames.features(sets.wave))
    report.figure("gravity", giant_and_dwarf)
    report.figure("sigma", spectra_plots.sigma(tables.sigma(results)))

# %% [markdown] tags=["lang-zh"]
# 噪声标准差本身会不会泄漏标签？若标准差由无噪声流量算出，它就是光谱的一份无噪声副本。下表只用标准差（不用流量）作岭回归；
# 默认设置下它不应含有任何信息。

# %% [markdown] tags=["lang-en"]
# Does sigma itself give the label away? Computed from the noiseless flux it is a noiseless copy of the spectrum. The
# table fits Ridge to sigma alone, without the flux; by default sigma should tell nothing.

# %%
if sets.grid is not None:
    report.table("controls", tables.controls(results), source=tables.controls)

# %% [markdown] tags=["lang-zh"]
# ### 模型
# 词元由卷积（`C1D`）或滑窗加线性层（SW）得到，两者算的是同一个线性映射，至多初始化不同；加上位置编码后进入前置归一化的编码器：
# $$x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)), \qquad
# \mathrm{Attention} = \mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
# 汇聚后的向量经线性层输出标签。原文代码草图画的是后置归一化，实际模型是前置归一化。分类头与可学习的预处理器不在本研究范围内。

# %% [markdown] tags=["lang-en"]
# ### Model
# Tokens come from a convolution (`C1D`) or from sliding windows and a linear layer (SW): the same linear map, at most
# initialised differently. With positions added they enter a pre-norm encoder:
# $$x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)), \qquad
# \mathrm{Attention} = \mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
# A linear layer reads the label off the pooled vector. The document's sketch of the code draws post-norm; the real
# model is pre-norm. Classification heads and a learned preprocessor are out of scope.

# %%
report.code(PatchTokenizer, "分块：从光谱到词元。", "The tokenizer: from a spectrum to tokens.")
report.code(SpectrumViT.forward, "从词元到标签。", "From tokens to the label.")

# %%
model_config = study.model_config(study.vit_settings(config), len(sets.wave))
report.table("parameters", parameter_table(SpectrumViT(model_config)), source=parameter_table)
report.judge(H37=checks.tokenizer_difference(results))

# %%
report.table("trace", shape_trace(model_config, batch_size=config.batch_size), source=shape_trace)
report.table("recipe", tables.recipe(config, len(sets.wave)), source=tables.recipe)

# %% [markdown] tags=["lang-zh"]
# 基线是像素上的岭回归与 LightGBM；它们的超参数（惩罚系数；叶数、学习率、轮数）都在验证集上搜索。所有模型用同一批星训练，
# 在同一测试集上评分。区间是对测试星的自助抽样，模型之差用成对抽样。每个规模点都是一个可缓存、可续跑的任务。

# %% [markdown] tags=["lang-en"]
# The baselines are Ridge and LightGBM on pixels, their hyper-parameters (penalty; leaves, rate, rounds) searched on
# validation. All models train on the same stars and are scored on the same test set. Intervals bootstrap test stars, in
# pairs where models are compared. Every point of the sweep is a cached job that can be resumed.

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 规模曲线

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Scaling curves

# %%
ladder = results.group("ladder")
ceiling = tables.ceiling_of(results)
report.figure("scaling", plots.scaling_curves(ladder, ceiling=ceiling))

# %%
largest = results.largest()
report.judge(
    H1=measures.r2_at_scale(results, reported("vit_scaling.training.rows")),
    H2=measures.r2_of(results, largest["vit"]),
    H3=measures.lead(results),
    H31=measures.lead(results, smallest=True),
    H30=measures.doubling_gain(results, reported("vit_scaling.training.rows")),
    H6=measures.fresh_gain(results),
    H32=measures.equivalent_stars(results),
)

# %%
report.table("ladder", tables.scored(ladder), source=study.Results.group)
report.judge(H25=measures.overfit(results), H26=measures.gap_shrinks(results), H27=measures.fresh_closes_the_gap(results))

# %%
report.table("searches", results.searches(), source=study.Results.searches)
report.table("slopes", results.slopes(), source=study.Results.slopes)
report.judge(H4=measures.slope(results))

# %%
public = reported("vit_scaling.public.scaling")
report.figure("reported", plots.reported_scaling(tables.reported_curves(public)))
report.table("public_scaling", tables.public_scaling(public, ladder), source=tables.public_scaling)

# %% [markdown] tags=["lang-zh"]
# ### 离信息极限有多远
# 上限由费希尔信息加高斯先验逐星算出再取平均；它依赖局部线性近似，是参照而非严格上界。效率是 $R^2$ 与上限之比。
# 每个信噪比分箱内，$R^2$ 与上限都以该箱内标签的方差为准。

# %% [markdown] tags=["lang-en"]
# ### How far is the information limit?
# The ceiling averages each star's bound from Fisher information and a Gaussian prior; it rests on a local linear
# approximation: a reference, not a strict bound. Efficiency is $R^2$ over the ceiling. Within a bin of S/N both refer
# to the variance of the labels in that bin.

# %%
if sets.grid is not None:
    told, ceilings = reported("vit_scaling.public.fisher_ceiling"), tables.ceilings(results)
    points = tables.reported_ceilings(told)
    report.figure("ceiling", spectra_plots.ceiling(ceilings, label=config.label, reported=points))
    both = tables.public_ceilings(told, ceilings, config.label)
    report.table("public_ceiling", both, source=tables.public_ceilings)

# %%
bins = tables.by_snr(results, largest)
report.figure("snr_bins", plots.snr_bins(bins))
report.table("snr_bins", bins.rename(columns={"snr": "snr_median"}), source=tables.by_snr)

# %%
cells = tables.cells(results, largest["vit"])
report.figure("cells", plots.label_cells(cells))
report.say("cells", **tables.ends(cells, "r2"))

# %% [markdown] tags=["lang-zh"]
# ### Run 1 与 Run 2
# 原文的两次训练同时改变了三件事：损失（`MSE` 换成 `L1`）、分块（`C1D` 换成 `SW`）、标签归一化（standard 换成 minmax）。
# 下面先并排比较两次训练，再逐个因素分开。

# %% [markdown] tags=["lang-en"]
# ### Run 1 against Run 2
# The document's two runs differ in three things at once: loss (`MSE` or `L1`), tokenizer (`C1D` or `SW`) and label
# normalisation (standard or minmax). First the two runs side by side, then one factor at a time.

# %%
history = results.history("run_1", "run_2", "fresh")
report.figure("training", plots.training_curves(history))

# %%
share = reported("vit_scaling.run_1.summary.epoch") / reported("vit_scaling.training.epochs")
report.judge(H24=measures.rise_from(results.course(), share), H33=measures.smallest_step(results.course()))

# %%
said = {run: reported(f"vit_scaling.{run}.epochs") for run in ("run_1", "run_2")}
report.table("epochs", tables.epoch_table(history, results.label_std, said), source=tables.epoch_table)

# %% [markdown] tags=["lang-zh"]
# 每个分支只改一个因素，与 `Run 1` 在同一批测试星上成对比较。

# %% [markdown] tags=["lang-en"]
# Every arm changes one factor and is compared with `Run 1` in pairs, on the same test stars.

# %%
arms = results.arms()
if len(arms):
    report.figure("ablations", plots.ablations(arms))

# %%
report.judge(
    H5=measures.weakest(measures.r2_of(results, "run_1"), measures.r2_of(results, "tokenizer_sw")),
    H14=measures.gain(results, "tokenizer_sw"),
    H18=measures.gain(results, "position_none"),
    H19=measures.pooling_gain(results, "mean"),
    H20=measures.pooling_gain(results, "attention"),
    H23=measures.best_gain(results, "depth_double", "width_double"),
    H44=measures.best_gain(results, "depth_half", "width_half"),
    H28=measures.other_lengths(),
)

# %%
report.judge(
    H11=measures.gain(results, "norm_minmax"),
    H15=measures.gain(results, "loss_l1"),
    H16=measures.gain(results, "loss_huber"),
    H17=measures.gain(results, "run_2"),
    H39=measures.gain(results, "loss_l1"),
    H40=measures.weakest(measures.gain(results, "run_1", "norm_minmax"), measures.gain(results, "minmax_l1", "loss_l1")),
    H35=checks.outside_labels(results, "norm_minmax"),
    H38=measures.outliers(),
)

# %%
epochs = results.history("run_1", "norm_minmax", "rate_constant")
report.judge(
    H21=measures.gain(results, "rate_constant"),
    H22=measures.gain(results, "clip_off"),
    H34=measures.spread(epochs, "norm_minmax"),
    H41=measures.spread(epochs, "rate_constant", late=True),
)

# %%
if len(arms):
    report.table("ablations", tables.compared(arms), source=study.Results.arms, n=config.ablation_size)
report.judge(H12=checks.precision_ratio(results, "spectra_per_s"), H13=checks.precision_ratio(results, "peak_mib"))

# %% [markdown] tags=["lang-zh"]
# ### 噪声水平

# %% [markdown] tags=["lang-en"]
# ### Noise level

# %%
noise = results.group("noise")
if len(noise):
    report.figure("noise", plots.noise_sweep(noise))
report.judge(H29=measures.noise_training_gain(results))

# %%
if len(noise):
    report.table("noise", tables.scored(noise), source=study.Results.group)
    report.say("noise", **tables.ends(tables.scored(noise), "noise_level"))

# %% [markdown] tags=["lang-zh"]
# ### 标签归一化与误差的含义
# 线性变换 $y' = ay + b$ 下，$R^2 = 1 - \frac{\sum (y-\hat y)^2}{\sum (y-\bar y)^2}$ 的分子分母同乘 $a^2$，因此不变；
# MAE 则按 $|a|$ 缩放。

# %% [markdown] tags=["lang-en"]
# ### Label normalisation and what an error means
# Under $y' = ay + b$ both sums of $R^2 = 1 - \frac{\sum (y-\hat y)^2}{\sum (y-\bar y)^2}$ gain the factor $a^2$, so
# that it stays; the MAE scales with $|a|$.

# %%
spaces = tables.linear_invariance(results, largest["vit"])
report.table("spaces", spaces, source=tables.linear_invariance, digits=6)
report.judge(H7=checks.r2_moved(spaces), H8=checks.dex_per_unit(results, largest["vit"]))

# %% [markdown] tags=["lang-zh"]
# ### 流量误差是不是标签误差
# 原文说：流量误差与 $\log g$ 的误差没有直接关系，因此除以流量误差的异方差损失不适用。这里把这句话拆成两个可检验的断言：
# 两种误差是否相关，以及这样的加权是否有用。

# %% [markdown] tags=["lang-en"]
# ### Is the flux error an error of the label?
# The document says that flux error and the error of $\log g$ are not directly related, so that dividing the loss by the
# flux error makes no sense. Here this becomes two claims to test: whether the two errors are related, and whether such
# a weighting is of use.

# %%
report.table("flux_error", checks.by_flux_error(results, largest["vit"]), source=checks.by_flux_error)
report.judge(
    H9=checks.flux_error_correlation(results, largest["vit"]),
    H10=measures.best_gain(results, "loss_heteroscedastic_mse", "loss_heteroscedastic_l1"),
)

# %%
coverage = tables.calibration(results)
report.table("coverage", coverage, source=tables.calibration)
report.say("coverage", **tables.ends(coverage, "nominal"))

# %% [markdown] tags=["lang-zh"]
# ### 模型在看哪里
# 下图取自发布的模型，即验证 R² 最高的 ViT：对测试星与注意力头取平均；有 CLS 词元时为它对各小块的注意力，否则对所有查询词元取平均。

# %% [markdown] tags=["lang-en"]
# ### Where does the model look?
# The figure is of the published model, the ViT of the highest validation R²: the mean over test stars and heads, of the
# CLS token's attention where there is one, or else averaged over queries.

# %%
best = results.best_vit()
attention = tables.attention(results, best)
report.figure("attention", plots.attention_over_wavelength(attention, tables.mean_spectrum(results), features))
report.judge(H36=checks.attention_ratio(attention, features))

# %%
study.publish(results, best, report.model_dir)
report.figure("predicted", plots.residuals(results.truth, results.pred(best)))

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见
# 上限把“模型不够好”与“数据不够好”分开：效率低的地方，更好的模型或更多的训练还有余地；效率接近一的地方，只有更好的数据才有用。

# %% [markdown] tags=["lang-en"]
# ## 4 Insights
# The ceiling separates a model that is not good enough from data that are not: where the efficiency is low there is
# room for a better model or more training, where it is close to one only better data help.

# %%
top = {model: results.row(point) for model, point in largest.items()}
scores = {model: row.r2 for model, row in top.items()}
report.say("insight", n=top["vit"].n_train, gap=top["vit"].gap, **scores)
report.say("efficiency", **tables.ends(bins[bins.model == "vit"], "snr"))

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 小规模的运行只说明这些规模上的先后；完整配置在 `full` 档，需要 GPU。下一步是在用户自己的光谱上重复同一阶梯，
# 以及更深、更宽的模型。
#
# 阅读这些数字时要记住三点。其一，光谱来自合成网格：谱线形成偏离局部热动平衡、地球大气吸收的残余、真实观测的系统误差都不在其中，
# 这里的 $R^2$ 不能当作实测光谱上的精度。其二，区间是对测试星重抽样得到的，只反映测试集有限带来的起伏；除最大规模设有多个种子外，
# 每个网络只训练一次，不同初始化之间的起伏没有计入，因此很小的差距即使区间不含零，也应换种子复核。
# 其三，若各规模轮数不同（见规模阶梯表），总步数也不同，曲线便同时含有样本数与步数的作用。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# A small run orders the methods at its own sizes only; the document's scale is the profile `full`, which needs a GPU.
# Next: the same ladder on the user's own spectra, and deeper and wider models.
#
# Three things to keep in mind. First, the spectra come from a synthetic grid: departures from local thermodynamic
# equilibrium, telluric residuals and the systematics of real exposures are not in it, so that no $R^2$ here promises
# anything for observed spectra. Second, the intervals resample test stars and so speak of the finite test set alone;
# but for the largest size, where a profile may ask for several seeds, every network is trained once, and the scatter
# between initialisations is not included: repeat a small difference with another seed even where its interval excludes
# zero. Third, where epochs differ between sizes (see the ladder), so do the steps, and the curve mixes the two.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.key_numbers(tables.key_numbers, results, ceiling)
report.table("params", config.table())

# %%
report.finish(
    answer=study.answer(results, ceiling),
    short=study.short(results, ceiling),
    seeds=range(config.seed, config.seed + config.repeats),
    provenance=rt.provenance(runtime),
    figure="scaling",
    implications=[report.words.text(name) for name in ("protocols", "units")],
)

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以选择任意一个训练好的模型，对照它在测试星上的预测与真值；也可以选择一颗测试星，查看它的光谱，图随之更新；
# 需要先安装可选依赖：`pip install -e ".[explore]"`。批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose any trained model and set its predictions against the truth, or choose a test star and look at
# its spectrum, and the figure follows; this takes the optional extra: `pip install -e ".[explore]"`. A batch run draws
# the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
fitted = {f"{p.name}, seed {p.seed}": p for p in results.points}
explore(lambda model: viewers.agreement(results.truth, results.pred(fitted[model]), config.label), model=list(fitted))

# %% tags=["explore"]
explore(lambda star: plots.example(tables.example(results, star), features), star=range(min(100, len(sets.test))))
