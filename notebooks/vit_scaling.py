# %% [markdown] tags=["lang-zh"]
# # 更多光谱，更准的 $\log g$？Vision Transformer 的规模曲线与它上方的极限

# %% [markdown] tags=["lang-en"]
# # More spectra, better $\log g$? A Vision Transformer's scaling curve and the ceiling above it

# %% tags=["parameters"]
profile = "smoke"
seed = 42
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
data_mode = "auto"
label = "log_g"
n_val = 256
n_test = 512
noise_preset = "mag205_225"
error_source = "reference"
noise_level = 1.0
window_aa = [8412.0, 8850.0]
patch_size = 128
hidden_size = 16
num_layers = 1
num_heads = 2
tokenizer = "C1D"
pos_encoding = "learned"
pooling = "cls"
init = "reference"
dropout = 0.1
input_scaling = "pixel"
loss = "mse"
label_norm = "standard"
lr = 0.002
min_lr = 1e-05
weight_decay = 0.01
betas = [0.9, 0.999]
batch_size = 32
schedule = "cosine"
warmup_steps = 10
clip = 0.5
patience = 500
deterministic = True
compile_model = False
devices = 1
num_nodes = 1
strategy = "auto"
logger = "csv"
workers = 1
sizes = [128, 256, 512]
epochs = [2, 2, 2]
fresh_sizes = [512]
fresh_epochs = [2]
baseline_copies = 2
repeats = 1
ablations = ["run_2", "tokenizer_sw"]
ablation_size = 256
ablation_epochs = 2
noise_levels = [0.0, 2.0]
noise_size = 256
noise_epochs = 2
lightgbm_leaves = [15]
lightgbm_rates = [0.1]
lightgbm_rounds = 50
lightgbm_features = 0.25
lightgbm_bins = 63
ridge_alphas = [1.0, 100.0, 10000.0]
fit_draws = 100
ceiling_stars = 64

# %%
from lib import runtime as rt
from lib.data.windows import features_between
from lib.explore import explore
from lib.models.vit import SpectrumViT, flops, parameter_table, shape_trace
from lib.plots import explore as viewers
from lib.plots import spectra as spectra_plots
from lib.plots import vit_scaling as plots
from lib.report import Criterion, Report, pair, reported
from lib.studies import vit_scaling as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %%
report = Report(
    config,
    title=pair("光谱上的 Vision Transformer：规模曲线与极限", "A Vision Transformer on spectra: scaling and the ceiling"),
    question=pair(
        "用 Vision Transformer 从含噪光谱估计表面重力，精度随训练样本数怎样增长？何时超过 LightGBM，离信息极限还有多远？",
        "How does a Vision Transformer's estimate of surface gravity from noisy spectra improve with training size, when does it pass LightGBM, and how far is the information limit?",
    ),
    header={"experiment_id": reported("vit_scaling.experiment_id"), "author": "Viska Wei", "date": str(reported("vit_scaling.date")),
            "project": "VIT", "topic": "vit", "mvp": "MVP-1.0", "model_version": "SpectrumViT"},
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 把一维光谱切成小块（词元），交给 Transformer 编码器，回归表面重力 $\log g$。原文的实验只跑到一半：第一次训练未到终点，第二次训练（换了损失、分块方式和标签归一化）
# 还没有结果，与基线的比较也留待以后。本研究补全这些比较，并在曲线上方画出数据本身允许的上限。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# A one-dimensional spectrum is cut into patches (tokens), and a Transformer encoder regresses surface gravity $\log g$ from them. The document
# stops half-way: its first run had not ended, its second (another loss, tokenizer and label normalisation) had no result, and the
# comparison with baselines was left for later. This study completes these comparisons and draws the ceiling that the data allow.

# %%
report.hypothesis("H1", "用 {n} 条光谱训练，ViT 能充分学习 log g：测试 R² 不低于 {threshold}（低于 {failure} 则不成立）。",
                  "With {n} training spectra a ViT learns log g: test R² of {threshold} or more (below {failure} refutes it).",
                  n=study.claims.ENOUGH, threshold=reported("vit_scaling.hypothesis_r2"), failure=reported("vit_scaling.failure_r2"))  # fmt: skip
report.hypothesis("H2", "噪声倍数为 {level} 时仍可学习：测试 R² 不低于 {limit}。",
                  "At noise level {level} the label can still be learned: test R² of {limit} or more.", level=config.noise_level, limit=0.2)  # fmt: skip
report.hypothesis("H3", "训练样本足够多时，ViT 超过 LightGBM（同一噪声协议、同一测试集）。",
                  "With enough training spectra the ViT overtakes LightGBM (same noise protocol, same test set).")  # fmt: skip
report.hypothesis("H4", "数据规模重要：ViT 的 R² 随样本数上升，每十倍至少增加 {limit}。",
                  "Scale matters: the ViT's R² rises with training size, by {limit} or more per decade.", limit=0.05)  # fmt: skip

# %%
report.hypothesis("H5", "两种分块方式（C1D 与 SW）都能学习：R² 都不低于 {limit}。",
                  "Both tokenizers (C1D and SW) learn: R² of {limit} or more with either.", limit=0.1)  # fmt: skip
report.hypothesis("H6", "每轮重新抽取噪声（数据增强）有益：同样的样本数下 R² 更高。",
                  "Drawing new noise every epoch (augmentation) helps: a higher R² with the same stars.")  # fmt: skip
report.hypothesis("H7", "对标签作线性归一化不改变 R²。", "A linear normalisation of the label leaves R² as it is.")
report.hypothesis("H8", "归一化标签上的 MAE 可以直接读作 dex（原文如此书写）。",
                  "The MAE of normalised labels can be read as dex (as the document writes it).")  # fmt: skip

# %%
report.hypothesis("H9", "流量误差与 log g 的误差无关：两者的秩相关不超过 {limit}。",
                  "Flux error has nothing to do with the error of log g: their rank correlation stays within {limit}.", limit=0.1)  # fmt: skip
report.hypothesis("H10", "除以流量误差的异方差损失不适用：R² 不会因此提高。",
                  "A heteroscedastic loss that divides by the flux error is of no use: it does not raise R².")  # fmt: skip
report.hypothesis("H11", "minmax 标签归一化优于 standard。", "Label normalisation minmax beats standard.")
report.hypothesis("H12", "混合精度使训练快约一倍。", "Mixed precision makes training about twice as fast.")
report.hypothesis("H13", "混合精度使显存占用约减半。", "Mixed precision needs about half the device memory.")

# %%
report.hypothesis("H14", "SW 分块比 C1D 更适合光谱。", "SW tokens suit spectra better than C1D.")
report.hypothesis("H15", "L1 损失对异常值更鲁棒，因而优于 MSE。", "The L1 loss, being robust to outliers, beats MSE.")
report.hypothesis("H16", "Huber 损失兼有两者之长，因而优于 MSE。", "The Huber loss joins the strengths of both and beats MSE.")
report.hypothesis("H17", "`Run 2` 的三项改动合在一起优于 `Run 1`（原文留待比较）。",
                  "The three changes of `Run 2` together beat `Run 1` (the document leaves this open).")  # fmt: skip
report.hypothesis("H18", "位置信息非常重要：去掉位置编码，R² 下降。", "Position matters: without a position encoding R² falls.")
report.hypothesis("H19", "平均池化优于 CLS 词元（原文列为可能的改进）。", "Mean pooling beats the CLS token (the document calls it a possible gain).")  # fmt: skip
report.hypothesis("H20", "注意力池化优于 CLS 词元（同上）。", "Attention pooling beats the CLS token (likewise).")

# %%
report.hypothesis(
    "H21",
    "余弦学习率使收敛更好：学习率保持恒定时，R² 下降。",
    "The cosine schedule converges better: at a constant rate R² falls.",
)
report.hypothesis("H22", "梯度裁剪防止训练失稳：去掉它，R² 下降。", "Clipping keeps training stable: without it R² falls.")
report.hypothesis("H23", "模型大小已经平衡：加深或加宽一倍，R² 的增量不超过 {limit}。",
                  "The model's size is balanced: twice the depth or width adds at most {limit} to R².", limit=0.01)  # fmt: skip
report.hypothesis("H24", "训练结束时仍有上升空间：最后四分之一的轮数里，验证 R² 至少再提高 {limit}。",
                  "There is room left at the end: over the last quarter of the epochs the validation R² still gains {limit} or more.", limit=0.01)  # fmt: skip

# %%
report.hypothesis("H25", "没有过拟合迹象：最大规模上训练与测试 R² 之差不超过 {limit}。",
                  "No sign of overfitting: at the largest size training and test R² differ by at most {limit}.", limit=0.05)  # fmt: skip
report.hypothesis("H26", "样本少时容易过拟合：最小规模的训练与测试 R² 之差比最大规模至少大 {limit}。",
                  "With few spectra a ViT overfits: between training and test R² the gap at the smallest size exceeds that at the largest by {limit} or more.", limit=0.05)  # fmt: skip
report.hypothesis("H27", "逐轮新噪声防止网络记住某一次噪声：训练与测试 R² 之差至少减小 {limit}。",
                  "New noise every epoch keeps the network from learning one draw by heart: training and test R² come closer by {limit} or more.", limit=0.05)  # fmt: skip
report.hypothesis(
    "H28", "RoPE 位置编码对其他序列长度的泛化更好。", "Rotary positions generalise better to other lengths of the sequence."
)

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# ### 数据与噪声
# 默认数据是内置的合成光谱网格（局部热动平衡、平面平行大气），不是原文的 BOSZ 光谱：两者的 $R^2$ 不能直接相比，页面上的“原文报告值”只作参照。
# 噪声为 $\tilde f_i = f_i + \epsilon_i,\ \epsilon_i \sim N(0, (\lambda\,\sigma_i)^2)$，其中 $\lambda$ 是噪声倍数。验证集与测试集的噪声固定；
# 训练集有两种协议：固定（每颗星只有一次噪声抽样）与逐轮新抽。两种协议分开比较，从不混用。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# ### Data and noise
# The default data are the embedded synthetic grid (local thermodynamic equilibrium, plane-parallel atmospheres), not the document's BOSZ
# spectra: their $R^2$ cannot be set against each other, and a "reported" value is shown for orientation only. The noise is
# $\tilde f_i = f_i + \epsilon_i,\ \epsilon_i \sim N(0, (\lambda\,\sigma_i)^2)$ with the noise level $\lambda$. Validation and test noise is fixed.
# Training follows two protocols, fixed (one draw per star) and fresh (a new draw every epoch); they are compared separately and never mixed.

# %%
results = study.run(config, runtime)
sets = results.sets
report.describe_data(
    source="hdf5" if config.train_path else "embedded", name="HDF5" if config.train_path else "synthetic grid",
    fingerprint=study.fingerprint(config), n_train=max(config.sizes), n_dropped=0, n_val=len(sets.val), n_test=len(sets.test),
)  # fmt: skip
report.table("snr", study.evaluate.snr_quantiles(results, reported("vit_scaling.public.snr_quantiles_test_10k")),
             "测试光谱信噪比的分位数。", "Quantiles of the S/N of the test spectra.", source=study.evaluate.snr_quantiles)  # fmt: skip

# %%
shown = study.evaluate.example(results)
features = [(f.name, f.wave_aa) for f in features_between(float(sets.wave[0]), float(sets.wave[-1]))]
report.figure("example", plots.example(shown, features), "一颗测试星的无噪声与含噪光谱，虚线为对重力敏感的谱线。",
              "Noiseless and noisy spectrum of a test star; dotted lines mark features that are sensitive to gravity.")  # fmt: skip

# %%
if "snr" in sets.stars:
    quantiles = study.evaluate.snr_quantiles(results, reported("vit_scaling.public.snr_quantiles_test_10k"))
    marks = quantiles.rename(columns={"reported_public": "reported"})
    report.figure("snr", spectra_plots.snr(sets.stars, marks), "测试光谱的信噪比分布，三角为原文数据的分位数。",
                  "S/N of the test spectra; triangles mark the quantiles of the document's data.")  # fmt: skip

# %%
if sets.grid is not None:
    pair_of_stars = spectra_plots.spectra(study.survey.gravity(results), study.survey.features(results))
    report.figure("gravity", pair_of_stars, "巨星与矮星的无噪声光谱，其余标签相同；灰线为对重力敏感的谱线与带头。",
                  "Noiseless spectra of a giant and a dwarf that share every other label; grey lines mark features that are sensitive to gravity.")  # fmt: skip
    report.figure("sigma", spectra_plots.sigma(study.survey.sigma(results)), "参考星的噪声标准差：尖峰为气辉线。",
                  "Noise standard deviation of the reference star: the spikes are airglow lines.")  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 噪声标准差本身会不会泄漏标签？若标准差由无噪声流量算出，它就是光谱的一份无噪声副本。下表只用标准差（不用流量）作岭回归；默认设置下它不应含有任何信息。

# %% [markdown] tags=["lang-en"]
# Does sigma itself give the label away? Computed from the noiseless flux it is a noiseless copy of the spectrum. The table fits Ridge to
# sigma alone, without the flux; by default sigma should tell nothing.

# %%
if sets.grid is not None:
    report.table("controls", study.survey.controls(results), "仅用噪声标准差作岭回归的测试 R²。", "Test R² of Ridge on sigma alone.",
                 source=study.survey.controls)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 模型
# 词元由卷积（`C1D`）或滑窗加线性层（SW）得到，两者算的是同一个线性映射，只有初始化不同；加上位置编码后进入前置归一化的编码器：
# $$x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)), \qquad
# \mathrm{Attention} = \mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
# 汇聚后的向量经线性层输出标签。原文代码草图画的是后置归一化，实际模型是前置归一化。分类头与可学习的预处理器不在本研究范围内。

# %% [markdown] tags=["lang-en"]
# ### Model
# Tokens come from a convolution (`C1D`) or from sliding windows and a linear layer (SW): the same linear map, initialised differently. With
# positions added they enter a pre-norm encoder:
# $$x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)), \qquad
# \mathrm{Attention} = \mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
# A linear layer reads the label off the pooled vector. The document's sketch of the code draws post-norm; the real model is pre-norm.
# Classification heads and a learned preprocessor are out of scope.

# %%
model_config = study.model_config(study.vit_settings(config), len(sets.wave))
report.table("parameters", parameter_table(SpectrumViT(model_config)), "本次运行的模型参数量，由模型本身数出。",
             "Parameters of this run's model, counted on the model.", source=parameter_table)  # fmt: skip
report.table("trace", shape_trace(model_config, batch_size=config.batch_size), "一个批次经过模型的张量形状。",
             "Tensor shapes of a batch on its way through the model.", source=shape_trace)  # fmt: skip
report.table("recipe", study.claims.recipe(config, len(sets.wave)), "原文与本次运行的设置。", "Settings of the document and of this run.",
             source=study.claims.recipe)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 基线是像素上的岭回归与 LightGBM；它们的超参数（惩罚系数；叶数、学习率、轮数）都在验证集上搜索。所有模型用同一批星训练，在同一测试集上评分。
# 区间是对测试星的自助抽样，模型之差用成对抽样。每个规模点都是一个可缓存、可续跑的任务。

# %% [markdown] tags=["lang-en"]
# The baselines are Ridge and LightGBM on pixels, their hyper-parameters (penalty; leaves, rate, rounds) searched on validation. All
# models train on the same stars and are scored on the same test set. Intervals bootstrap test stars, in pairs where models are compared.
# Every point of the sweep is a cached job that can be resumed.

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 规模曲线

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Scaling curves

# %%
ladder = results.ladder()
ceiling = study.evaluate.ceiling_of(results)
figure = plots.scaling_curves(ladder, ceiling=ceiling)
report.figure("scaling", figure, "测试 R² 随训练样本数的变化；实线为固定噪声，虚线为逐轮新噪声，点线为克拉默–拉奥上限。",
              "Test R² against training size; solid: fixed noise, dashed: fresh noise, dotted: the Cramer-Rao ceiling.")  # fmt: skip
report.table(
    "ladder", study.evaluate.brief(ladder), "规模阶梯的每个点。", "Every point of the ladder.", source=study.Results.ladder
)

# %%
report.table(
    "searches", results.searches(), "基线超参数在验证集上的搜索结果（入选者）。", "Hyper-parameters of the baselines, as chosen on validation.",
    source=study.Results.searches,
)  # fmt: skip

# %%
scaling = results.scaling_table()
report.table("slopes", scaling, "每十倍样本数的 R² 增量、饱和点与幂律拟合（不足四个规模时不拟合）。",
             "Gain of R² per decade, saturation and power-law fit (no fit below four sizes).", source=study.Results.scaling_table)  # fmt: skip
figure = plots.reported_scaling(study.claims.reported_curves(reported("vit_scaling.public.scaling")))
report.figure("reported", figure, "公开记录中的规模曲线（BOSZ 光谱，另一个问题，仅作参照）。",
              "Scaling curves of public reports (BOSZ spectra: another problem, for orientation).")  # fmt: skip
told = study.claims.beside_public(reported("vit_scaling.public.scaling"), ladder)
report.table("public_scaling", told, "公开记录与本次运行（固定噪声）在各规模上的测试 R²；“—”表示没有这一规模。",
             "Test R² at each size in the public reports and in this run (fixed noise); —: no such size.", source=study.claims.beside_public)  # fmt: skip

# %% tags=["nbval-check-output"]
largest = results.largest()
top = results.row(largest["vit"])
criterion = Criterion("gt", reported("vit_scaling.hypothesis_r2"), refute=reported("vit_scaling.failure_r2"))
study.judge(
    report, "H1", study.claims.scored(top) if top["n_train"] >= study.claims.ENOUGH else None, criterion, "fig-scaling",
    reported_as="vit_scaling.run_1.r2", n=top["n_train"],
    why=("本运行档最多训练 {n:,} 条光谱，达不到假设所说的规模。", "This profile trains on {n:,} spectra at most and does not reach the scale of the hypothesis."),
    supported=("{n} 条光谱训练后 R² 为 {value:.3f}。", "R² is {value:.3f} after {n} training spectra."),
    refuted=("{n} 条光谱训练后 R² 只有 {value:.3f}。", "R² is only {value:.3f} after {n} training spectra."),
    inconclusive=("{n} 条光谱训练后 R² 为 {value:.3f}，介于两个阈值之间。", "R² is {value:.3f} after {n} training spectra, between the thresholds."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H2", study.claims.scored(top), Criterion("gt", 0.2), "fig-scaling", n=top["n_train"], level=config.noise_level,
    supported=("噪声倍数 {level} 下，{n} 条光谱训练的 ViT 达到 R² {value:.3f}。", "At noise level {level}, a ViT trained on {n} spectra reaches R² {value:.3f}."),
    refuted=("噪声倍数 {level} 下，{n} 条光谱训练的 ViT 只有 R² {value:.3f}。", "At noise level {level}, a ViT trained on {n} spectra has only R² {value:.3f}."),
    inconclusive=("噪声倍数 {level} 下，{n} 条光谱训练的 ViT 的 R² 为 {value:.3f}，区间跨过阈值。", "At noise level {level}, R² is {value:.3f} with {n} spectra; the interval crosses the threshold."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
crossing = study.claims.crossing_text(results)
study.judge(
    report, "H3", study.claims.gained(results, largest["vit"], largest["lightgbm"]), Criterion("gt", 0.0), "fig-scaling",
    n=top["n_train"], crossing=crossing,
    supported=("固定噪声、{n} 条光谱时 ViT 的 R² 高出 LightGBM {value:.3f}；交叉点：{crossing}。", "With fixed noise and {n} spectra the ViT leads LightGBM by {value:.3f} in R²; crossing: {crossing}."),
    refuted=("固定噪声、{n} 条光谱时 ViT 仍低于 LightGBM（差 {value:.3f}）；交叉点：{crossing}。", "With fixed noise and {n} spectra the ViT is still below LightGBM ({value:.3f}); crossing: {crossing}."),
    inconclusive=("固定噪声、{n} 条光谱时两者之差为 {value:.3f}，区间含零；交叉点：{crossing}。", "With fixed noise and {n} spectra they differ by {value:.3f}, an interval around zero; crossing: {crossing}."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H4", study.claims.slope(scaling), Criterion("gt", 0.05), "tab-slopes",
    why=("本运行档只有一个规模。", "This profile has one size only."),
    supported=("固定噪声下每十倍样本数 R² 增加 {value:.3f}。", "With fixed noise R² gains {value:.3f} per decade of spectra."),
    refuted=("固定噪声下每十倍样本数 R² 只增加 {value:.3f}。", "With fixed noise R² gains only {value:.3f} per decade of spectra."),
    inconclusive=("每十倍样本数的增量为 {value:.3f}，区间跨过阈值。", "The gain per decade is {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
fresh = study.claims.augmentation_gain(results)
drawn = study.judge(
    report, "H6", fresh, Criterion("gt", 0.0), "fig-scaling", n=fresh and fresh["n"],
    why=("本运行档没有逐轮新噪声的训练。", "This profile trains none with fresh noise."),
    supported=("同样 {n} 颗星，逐轮新噪声使 R² 提高 {value:.3f}。", "With the same {n} stars fresh noise raises R² by {value:.3f}."),
    refuted=("同样 {n} 颗星，逐轮新噪声反而使 R² 变化 {value:.3f}。", "With the same {n} stars fresh noise changes R² by {value:.3f}."),
    inconclusive=("同样 {n} 颗星，两种协议之差为 {value:.3f}，区间含零。", "With the same {n} stars the protocols differ by {value:.3f}, an interval around zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
apart = ("训练与测试 R² 之差为 {value:.3f}。", "Training and test R² differ by {value:.3f}.")
study.judge(report, "H25", {"value": top["gap"]}, Criterion("lt", 0.05), "tab-ladder", metric="gap",
            supported=apart, refuted=apart, inconclusive=apart)  # fmt: skip
closer = ("差距相差 {value:+.3f}。", "The gaps differ by {value:+.3f}.")
study.judge(report, "H26", study.claims.gap_shrinks(ladder), Criterion("gt", 0.05), "tab-ladder", metric="gap",
            why=("本运行档只有一个规模。", "This profile has one size only."), supported=closer, refuted=closer, inconclusive=closer)  # fmt: skip

# %% tags=["nbval-check-output"]
paired = study.claims.gap_of_protocols(ladder)
closer = (
    "同样 {n} 颗星，固定噪声与逐轮新噪声的差距相差 {value:+.3f}。",
    "With the same {n} stars the gaps under fixed and fresh noise differ by {value:+.3f}.",
)
study.judge(report, "H27", paired, Criterion("gt", 0.05), "tab-ladder", metric="gap", n=paired and paired["n"],
            why=("本运行档没有逐轮新噪声的训练。", "This profile trains none with fresh noise."), supported=closer, refuted=closer, inconclusive=closer)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 离信息极限有多远
# 上限来自费希尔信息：在已知噪声下，任何无偏估计（加上标签的高斯先验）都不能更准。效率是 $R^2$ 与上限之比。每个信噪比分箱内，$R^2$ 与上限都以该箱内标签的方差为准。

# %% [markdown] tags=["lang-en"]
# ### How far is the information limit?
# The ceiling comes from Fisher information: with known noise no unbiased estimate (with a Gaussian prior of the label) can do better.
# Efficiency is $R^2$ over the ceiling. Within a bin of S/N both refer to the variance of the labels in that bin.

# %%
if sets.grid is not None:
    points = study.survey.reported_ceilings(reported("vit_scaling.public.fisher_ceiling"))
    ceilings = study.survey.ceilings(results)
    report.figure(
        "ceiling", spectra_plots.ceiling(ceilings, label=config.label, reported=points),
        "上限随信噪比的变化：自由标签个数与有无先验；圆圈为公开记录中 BOSZ 网格的值，与本网格不可直接相比。",
        "The ceiling against S/N by the number of free labels, with and without prior; circles: public values for the BOSZ grid, another grid.",
    )  # fmt: skip
    told = study.survey.beside_public(reported("vit_scaling.public.fisher_ceiling"), ceilings, config.label)
    report.table("public_ceiling", told, "公开记录（BOSZ 网格）的上限，与本网格在同一信噪比处的上限（无先验）。",
                 "Ceilings of the public reports (BOSZ grid) and of this grid at the same S/N (no prior).", source=study.survey.beside_public)  # fmt: skip

# %%
bins = study.evaluate.by_snr(results, largest)
report.figure(
    "snr_bins",
    plots.snr_bins(bins),
    "按信噪比分箱的 R² 与上限（最大规模，固定噪声）。",
    "R² and ceiling by S/N (largest size, fixed noise).",
)
report.table(
    "snr_bins",
    bins.rename(columns={"snr": "snr_median"}),
    "各信噪比分箱的 R²、上限与效率。",
    "R², ceiling and efficiency per bin of S/N.",
    source=study.evaluate.by_snr,
)

# %%
cells = study.evaluate.cells(results, largest["vit"])
report.figure(
    "cells", plots.label_cells(cells), "ViT 在 T_eff × [M/H] 各格内的 R²。", "R² of the ViT per cell of T_eff and [M/H]."
)

# %% [markdown] tags=["lang-zh"]
# ### Run 1 与 Run 2
# 原文的两次训练同时改变了三件事：损失（`MSE` 换成 `L1`）、分块（`C1D` 换成 `SW`）、标签归一化（standard 换成 minmax）。下面先并排比较两次训练，再逐个因素分开。

# %% [markdown] tags=["lang-en"]
# ### Run 1 against Run 2
# The document's two runs differ in three things at once: loss (`MSE` or `L1`), tokenizer (`C1D` or `SW`) and label normalisation (standard or
# minmax). First the two runs side by side, then one factor at a time.

# %%
history = results.history()
report.figure("training", plots.training_curves(history), "两次训练的曲线；训练损失的尺度不同，R² 与 MAE 可比。",
              "Curves of both runs; the training losses have different scales, R² and MAE compare.")  # fmt: skip
said = {run: reported(f"vit_scaling.{run}.epochs") for run in ("run_1", "run_2")}
by_epoch = study.claims.epoch_table(history, results.label_std, said)
report.table("epochs", by_epoch, "两次训练在验证集上的逐轮结果，前几行为原文数值。", "Validation results by epoch; the first rows are the document's.",
             source=study.claims.epoch_table)  # fmt: skip

# %%
ablations = results.ablation_table()
report.figure(
    "ablations",
    plots.ablations(ablations),
    "每个单因素改动相对 `Run 1` 的 R² 变化（成对区间）。",
    "Change of R² against `Run 1` per arm (paired intervals).",
)
report.table("ablations", study.evaluate.brief_arms(ablations), "消融实验（{n} 条训练光谱，固定噪声）。",
             "Ablations ({n} training spectra, fixed noise).", source=study.Results.ablation_table, n=config.ablation_size)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H5", study.claims.weakest_tokenizer(results), Criterion("gt", 0.1), "fig-ablations",
    why=("本运行档没有跑 SW 的单因素实验。", "This profile does not run the SW arm."),
    supported=("两者都能学习，较低的 R² 为 {value:.3f}。", "Both learn; the lower R² is {value:.3f}."),
    refuted=("至少一种没有学到：较低的 R² 为 {value:.3f}。", "At least one does not learn: the lower R² is {value:.3f}."),
    inconclusive=("较低的 R² 为 {value:.3f}，区间跨过阈值。", "The lower R² is {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %%
study.judge(
    report, "H11", study.claims.arm_gain(results, "norm_minmax"), Criterion("gt", 0.0), "fig-ablations",
    why=("本运行档没有跑 minmax 的单因素实验。", "This profile does not run the minmax arm."),
    supported=("minmax 使 R² 提高 {value:.3f}。", "minmax raises R² by {value:.3f}."),
    refuted=("minmax 使 R² 变化 {value:.3f}。", "minmax changes R² by {value:.3f}."),
    inconclusive=("minmax 与 standard 之差为 {value:.3f}，区间含零。", "minmax and standard differ by {value:.3f}, an interval around zero."),
)  # fmt: skip
study.judge(
    report, "H12", study.claims.precision_gain(results, "spectra_per_s"), Criterion("gt", 1.8, refute=1.5), "tab-ablations",
    why=("需要 GPU 上的混合精度与单精度两个实验。", "It takes a mixed-precision and an fp32 arm on a GPU."),
    supported=("混合精度快 {value:.2f} 倍。", "Mixed precision is {value:.2f} times as fast."),
    refuted=("混合精度只快 {value:.2f} 倍。", "Mixed precision is only {value:.2f} times as fast."),
    inconclusive=("混合精度快 {value:.2f} 倍。", "Mixed precision is {value:.2f} times as fast."),
)  # fmt: skip

# %%
study.judge(
    report, "H13", study.claims.precision_gain(results, "peak_mib"), Criterion("gt", 1.8, refute=1.5), "tab-ablations",
    why=("需要 GPU 上的混合精度与单精度两个实验。", "It takes a mixed-precision and an fp32 arm on a GPU."),
    supported=("单精度的显存峰值是混合精度的 {value:.2f} 倍。", "The fp32 peak of memory is {value:.2f} times that of mixed precision."),
    refuted=("单精度的显存峰值只是混合精度的 {value:.2f} 倍。", "The fp32 peak of memory is only {value:.2f} times that of mixed precision."),
    inconclusive=("单精度的显存峰值是混合精度的 {value:.2f} 倍。", "The fp32 peak of memory is {value:.2f} times that of mixed precision."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
moved = ("R² 变化 {value:+.3f}。", "R² changes by {value:+.3f}.")
unclear = ("R² 变化 {value:+.3f}，区间含零。", "R² changes by {value:+.3f}, an interval around zero.")
better, worse = Criterion("gt", 0.0), Criterion("lt", 0.0)
arms = {"H14": ("tokenizer_sw", better), "H15": ("loss_l1", better), "H16": ("loss_huber", better), "H17": ("run_2", better),
        "H18": ("position_none", worse), "H19": ("pooling_mean", better), "H20": ("pooling_attention", better),
        "H21": ("rate_constant", worse), "H22": ("clip_off", worse)}  # fmt: skip
for key, (arm, criterion) in arms.items():
    study.judge(report, key, study.claims.arm_gain(results, arm), criterion, "fig-ablations", metric="delta_r2", arm=arm,
                why=("本运行档没有跑分支 `{arm}`。", "This profile does not run the arm `{arm}`."),
                supported=moved, refuted=moved, inconclusive=unclear)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(report, "H23", study.claims.larger_gain(results), Criterion("lt", 0.01), "fig-ablations", metric="delta_r2",
            why=("本运行档没有跑加深或加宽的分支。", "This profile runs no deeper or wider arm."), supported=moved, refuted=moved,
            inconclusive=("R² 变化 {value:+.3f}，区间跨过界限。", "R² changes by {value:+.3f}; the interval crosses the limit."))  # fmt: skip
study.judge(report, "H24", study.claims.late_rise(history), Criterion("gt", 0.01), "fig-training", metric="delta_r2",
            why=("本运行档的训练不足四轮。", "This profile trains for fewer than four epochs."), supported=moved, refuted=moved, inconclusive=moved)  # fmt: skip
study.judge(report, "H28", None, better, "fig-ablations",
            why=("所有光谱长度相同，序列长度只有一种，无从检验。", "All spectra have one length, and so has the sequence: there is nothing to test it on."))  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 噪声水平

# %% [markdown] tags=["lang-en"]
# ### Noise level

# %%
noise = results.noise_table()
report.figure(
    "noise",
    plots.noise_sweep(noise),
    "R² 随噪声倍数的变化（训练与测试用同一倍数）。",
    "R² against the noise level (the same in training and test).",
)
report.table("noise", study.evaluate.brief(noise), "噪声扫描。", "Noise sweep.", source=study.Results.noise_table)

# %% [markdown] tags=["lang-zh"]
# ### 标签归一化与误差的含义
# 线性变换 $y' = ay + b$ 下，$R^2 = 1 - \frac{\sum (y-\hat y)^2}{\sum (y-\bar y)^2}$ 的分子分母同乘 $a^2$，因此不变；MAE 则按 $|a|$ 缩放。

# %% [markdown] tags=["lang-en"]
# ### Label normalisation and what an error means
# Under $y' = ay + b$ both sums of $R^2 = 1 - \frac{\sum (y-\hat y)^2}{\sum (y-\bar y)^2}$ gain the factor $a^2$, so that it stays; the MAE scales with $|a|$.

# %%
spaces = study.evaluate.linear_invariance(results, largest["vit"])
report.table("spaces", spaces, "同一组预测在三种标签空间里的 R² 与 MAE。", "R² and MAE of the same predictions in three spaces of the label.",
             source=study.evaluate.linear_invariance, digits=6)  # fmt: skip
study.judge(
    report, "H7", {"value": float(spaces.r2.max() - spaces.r2.min())}, Criterion("within", 1e-6), "tab-spaces",
    supported=("三种空间的 R² 最多相差 {value:.1e}。", "R² differs by {value:.1e} at most between the three spaces."),
    refuted=("三种空间的 R² 相差 {value:.1e}。", "R² differs by {value:.1e} between the spaces."),
    inconclusive=("相差 {value:.1e}。", "They differ by {value:.1e}."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H8", {"value": results.label_std - 1}, Criterion("within", 0.02), "tab-spaces", metric="label_std_minus_one",
    std=results.label_std, dex=top["mae_dex"], norm=top["mae_normalized"], told=reported("vit_scaling.run_1.mae"),
    supported=("标签标准差为 {std:.3f} dex，两种读法几乎相同。", "The label's standard deviation is {std:.3f} dex, so that both readings agree."),
    refuted=("不能：标签标准差为 {std:.3f} dex，归一化 MAE {norm:.3f} 相当于 {dex:.3f} dex；原文自己换算后的值是 {told} dex。",
             "It cannot: the label's standard deviation is {std:.3f} dex, and the normalised {norm:.3f} is {dex:.3f} dex; the document's own converted value is {told} dex."),
    inconclusive=("标签标准差为 {std:.3f} dex。", "The label's standard deviation is {std:.3f} dex."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 流量误差是不是标签误差
# 原文说：流量误差与 $\log g$ 的误差没有直接关系，因此除以流量误差的异方差损失不适用。这里把这句话拆成两个可检验的断言：两种误差是否相关，以及这样的加权是否有用。

# %% [markdown] tags=["lang-en"]
# ### Is the flux error an error of the label?
# The document says that flux error and the error of $\log g$ are not directly related, so that dividing the loss by the flux error makes no
# sense. Here this becomes two claims to test: whether the two errors are related, and whether such a weighting is of use.

# %% tags=["nbval-check-output"]
study.judge(
    report, "H9", study.claims.bootstrap_spearman(results, largest["vit"]), Criterion("within", 0.1), "tab-ablations",
    supported=("秩相关为 {value:.3f}，两者无关。", "The rank correlation is {value:.3f}: unrelated."),
    refuted=("秩相关为 {value:.3f}：流量误差不是标签误差，但两者并非无关。", "The rank correlation is {value:.3f}: flux error is not label error, but the two are not unrelated."),
    inconclusive=("秩相关为 {value:.3f}，区间跨过界限。", "The rank correlation is {value:.3f}; its interval crosses the limit."),
)  # fmt: skip
study.judge(
    report, "H10", study.claims.arm_gain(results, "loss_heteroscedastic_mse"), Criterion("lt", 0.0), "fig-ablations",
    why=("本运行档没有跑这一损失。", "This profile does not run that loss."),
    supported=("按流量误差加权使 R² 变化 {value:.3f}，没有好处。", "Weighting by the flux error changes R² by {value:.3f}: no use."),
    refuted=("按流量误差加权使 R² 提高 {value:.3f}。", "Weighting by the flux error raises R² by {value:.3f}."),
    inconclusive=("按流量误差加权使 R² 变化 {value:.3f}，区间含零。", "Weighting by the flux error changes R² by {value:.3f}, an interval around zero."),
)  # fmt: skip

# %%
coverage = study.evaluate.calibration(results)
report.table("coverage", coverage, "异方差头（预测 log g 及其标准差）在测试星上的覆盖率；未跑该实验时为空。",
             "Coverage of the heteroscedastic head (log g and its standard deviation) on test stars; empty where it was not run.",
             source=study.evaluate.calibration)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 模型在看哪里

# %% [markdown] tags=["lang-en"]
# ### Where does the model look?

# %%
best = results.best_vit()
attention = study.evaluate.attention(results, best)
figure = plots.attention_over_wavelength(attention, study.evaluate.mean_spectrum(results), features)
report.figure(
    "attention",
    figure,
    "各层注意力随波长的分布（均匀为一），灰线为平均光谱。",
    "Attention per layer over wavelength (uniform is one); grey: mean spectrum.",
)

# %%
report.figure(
    "predicted",
    plots.residuals(results.truth, results.pred(best)),
    "发布模型：预测与真值。",
    "The published model: prediction against truth.",
)
study.publish(results, best, report.model_dir)

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
speed = study.claims.throughput(results, largest["vit"])
report.text(
    "最大规模（{n} 条，固定噪声）上，ViT、LightGBM、岭回归的 R² 为 {vit:.3f}、{lightgbm:.3f}、{ridge:.3f}，上限为 {ceiling}，ViT 的效率为 {efficiency}；"
    "ViT 的训练 R² 比测试 R² 高 {gap:.3f}。{protocols}",
    "At the largest size ({n}, fixed noise) ViT, LightGBM and Ridge have R² {vit:.3f}, {lightgbm:.3f} and {ridge:.3f} under a ceiling of {ceiling}: the ViT's efficiency is {efficiency}, "
    "its training R² {gap:.3f} above that on the test set. {protocols}",
    n=top["n_train"], vit=top["r2"], lightgbm=results.row(largest["lightgbm"])["r2"], ridge=results.row(largest["ridge"])["r2"],
    ceiling=ceiling, efficiency=top["r2"] / ceiling, gap=top["gap"], protocols=study.words.protocols(drawn),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 上限把“模型不够好”与“数据不够好”分开：效率低的地方，更好的模型或更多的训练还有余地；效率接近一的地方，只有更好的数据才有用。

# %% [markdown] tags=["lang-en"]
# The ceiling separates a model that is not good enough from data that are not: where the efficiency is low there is room for a better model
# or more training, where it is close to one only better data help.

# %%
apart = study.words.limits(bins)
report.text(apart["zh"], apart["en"])

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 小规模的运行回答方法之间的先后与协议的作用，不能代替原文规模的训练；完整配置在 `full` 档，需要 GPU。下一步是在用户自己的光谱上重复同一阶梯，以及更深、更宽的模型。
#
# 阅读这些数字时要记住三点。其一，光谱来自合成网格：谱线形成偏离局部热动平衡、地球大气吸收的残余、真实观测的系统误差都不在其中，这里的 $R^2$ 不能当作实测光谱上的精度。
# 其二，区间是对测试星重抽样得到的，只反映测试集有限带来的起伏；除最大规模设有多个种子外，每个网络只训练一次，不同初始化之间的起伏没有计入，
# 因此很小的差距即使区间不含零，也应换种子复核。其三，训练轮数随规模而变，以便小模型在有限的时间里走够步数，所以曲线同时含有样本数与步数的作用。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# A small run orders the methods and shows what the protocol does; it does not replace a training at the document's scale, which is the
# profile `full` and needs a GPU. Next: the same ladder on the user's own spectra, and deeper and wider models.
#
# Three things to keep in mind. First, the spectra come from a synthetic grid: departures from local thermodynamic equilibrium, telluric
# residuals and the systematics of real exposures are not in it, so that no $R^2$ here promises anything for observed spectra. Second, the
# intervals resample test stars and so speak of the finite test set alone; but for the largest size, where a profile may ask for several
# seeds, every network is trained once, and the scatter between initialisations is not included: repeat a small difference with another
# seed even where its interval excludes zero. Third, the number of epochs changes with the size so that a small model takes enough steps
# in the time there is, and the curve therefore mixes the number of stars with the number of steps.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")
report.fact(
    "r2",
    top["r2"],
    "最大规模上 ViT 的 R²（合成网格）",
    "R² of the ViT at the largest size (synthetic grid)",
    reported_as="vit_scaling.run_1.r2",
)

# %%
report.fact(
    "mae_dex",
    top["mae_dex"],
    "最大规模上 ViT 的 MAE",
    "MAE of the ViT at the largest size",
    unit="dex",
    reported_as="vit_scaling.run_1.mae",
)

# %%
report.fact(
    "mae_normalized", top["mae_normalized"], "归一化 MAE", "normalised MAE", reported_as="vit_scaling.run_1.mae_normalized"
)

# %%
report.fact(
    "ceiling",
    study.claims.finite(ceiling),
    "R² 的克拉默–拉奥上限（全部标签自由）",
    "Cramer-Rao ceiling of R² (all labels free)",
)

# %%
report.fact(
    "ceiling_3",
    study.claims.finite(study.evaluate.ceiling_of(results, free=3)),
    "上限（三个标签自由）",
    "the ceiling with three free labels",
)
report.fact("efficiency", study.claims.finite(top["r2"] / ceiling), "效率：R² 与上限之比", "efficiency: R² over the ceiling")

# %%
best_epoch = history[history.arm == "run_1"].sort_values("val_mae").epoch.iloc[0]
report.fact("best_epoch", int(best_epoch), "`Run 1` 验证 MAE 最低的轮次", "epoch of `Run 1` with the lowest validation MAE", reported_as="vit_scaling.run_1.best_epoch")  # fmt: skip
report.fact("label_std", results.label_std, "标签的标准差", "standard deviation of the label", unit="dex", reported_as="vit_scaling.run_1.label_std")  # fmt: skip
low, high = (float(v) for v in (sets.train.labels.min(), sets.train.labels.max()))
report.fact("label_range", f"[{low:.1f}, {high:.1f}]", "训练集标签的范围", "range of the label in training", unit="dex", reported_as="vit_scaling.log_g_range")  # fmt: skip

# %%
report.fact("parameters", speed["parameters"], "模型参数量", "parameters of the model", reported_as="vit_scaling.parameters")
counted = int(parameter_table(SpectrumViT(study.claims.DOCUMENT_MODEL)).parameters.iloc[-1])
report.fact("parameters_document", counted, "原文配置的参数量（数出）", "parameters of the document's configuration, counted", reported_as="vit_scaling.parameters")  # fmt: skip
batches = speed["spectra_per_s"] / study.claims.DOCUMENT["batch_size"]
report.fact("batches_per_s", batches, "训练速度，按原文的批大小折合", "training speed in batches of the document's size", unit="batches/s", reported_as="vit_scaling.iterations_per_second_batch_256")  # fmt: skip
report.fact("spectra_per_s", speed["spectra_per_s"], "训练速度", "training speed", unit="spectra/s")

# %%
report.fact(
    "peak_fraction",
    speed["peak_fraction"],
    "占 GPU bf16 峰值的比例（CPU 上无）",
    "fraction of the GPU's bf16 peak (none on a CPU)",
)
report.fact("gflop", speed["gflop"], "每条光谱一次训练的运算量", "operations per training spectrum", unit="GFLOP")
report.fact(
    "forward_gflop_document",
    flops(study.claims.DOCUMENT_MODEL)["forward"] / 1e9,
    "原文配置的前向运算量",
    "forward pass of the document's configuration",
    unit="GFLOP",
)

# %%
report.finish(
    answer=study.words.answer(top, results.row(largest["lightgbm"])["r2"], study.claims.slope(scaling), ceiling, study.claims.crossing_at(results), min(config.sizes)),
    provenance=rt.provenance(runtime), figure="scaling",
    implications=[pair("比较模型前先固定噪声协议：逐轮新噪声与一次抽样不可混比。", "Fix the noise protocol before models are compared: fresh noise against one draw is no comparison."),
                  pair("报告 MAE 时写明是归一化值还是 dex。", "Say whether an MAE is normalised or in dex.")],
)  # fmt: skip

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以选择任意一个训练好的模型，对照它在测试星上的预测与真值；也可以选择一颗测试星，查看它的光谱，图随之更新；需要先安装可选依赖：`pip install -e ".[explore]"`。批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose any trained model and set its predictions against the truth, or choose a test star and look at its spectrum, and the figure follows; this takes the optional extra: `pip install -e ".[explore]"`. A batch run draws
# the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
fitted = {f"{p.model}, {p.protocol}, n={p.n_train}, noise={p.noise_level:g}, {p.arm}": p for p in results.points}
explore(lambda model: viewers.agreement(results.truth, results.pred(fitted[model]), config.label), model=list(fitted))

# %% tags=["explore"]
explore(lambda star: plots.example(study.evaluate.example(results, star), features), star=range(min(100, len(sets.test))))
