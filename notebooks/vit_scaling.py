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
from lib.report import Criterion, Report, pair, reported, term
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
# 还没有结果，与基线的比较也留待以后。本研究（默认在内置的合成光谱上）做这些比较，并在曲线上方画出数据本身允许的上限。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# A one-dimensional spectrum is cut into patches (tokens), and a Transformer encoder regresses surface gravity $\log g$ from them. The document
# stops half-way: its first run had not ended, its second (another loss, tokenizer and label normalisation) had no result, and the
# comparison with baselines was left for later. This study makes these comparisons, by default on embedded synthetic spectra, and draws
# the ceiling that the data allow.

# %%
report.hypothesis("H1", "用 {n} 条光谱训练，ViT 能充分学习 log g：测试 R² 不低于 {threshold}（低于 {failure} 则不成立；原文报告的是验证 R²）。",
                  "With {n} training spectra a ViT learns log g: test R² of {threshold} or more (below {failure} refutes it; the document reports R² on validation).",
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
report.hypothesis("H15", "L1 损失优于 MSE（原文留待比较）。", "The L1 loss beats MSE (the document leaves this open).")
report.hypothesis("H16", "Huber 损失优于 MSE（原文只说它兼有两者之长，未作比较）。",
                  "The Huber loss beats MSE (the document says that it joins the strengths of both, and compares nothing).")  # fmt: skip
report.hypothesis("H17", "`Run 2` 的三项改动合在一起优于 `Run 1`（原文留待比较）。",
                  "The three changes of `Run 2` together beat `Run 1` (the document leaves this open).")  # fmt: skip
report.hypothesis("H18", "位置信息非常重要：去掉位置编码，R² 下降。", "Position matters: without a position encoding R² falls.")
report.hypothesis("H19", "平均池化优于 CLS 词元（原文列为可能的改进）。", "Mean pooling beats the CLS token (the document calls it a possible gain).")  # fmt: skip
report.hypothesis("H20", "注意力池化优于 CLS 词元（同上）。", "Attention pooling beats the CLS token (likewise).")

# %%
report.hypothesis("H21", "余弦学习率使收敛更好：学习率保持恒定时，R² 下降。", "The cosine schedule converges better: at a constant rate R² falls.")  # fmt: skip
report.hypothesis("H22", "梯度裁剪防止训练失稳：去掉它，R² 下降。", "Clipping keeps training stable: without it R² falls.")
report.hypothesis("H23", "模型大小已经平衡：加深或加宽一倍，R² 的增量不超过 {limit}。",
                  "The model's size is balanced: twice the depth or width adds at most {limit} to R².", limit=0.01)  # fmt: skip
report.hypothesis("H24", "训练到第 {epoch} 轮（共 {epochs} 轮）时尚未收敛：从同样比例的轮数起，验证 R² 至少再提高 {limit}。",
                  "At epoch {epoch} of {epochs} the training has not converged: from the same share of its epochs on, the validation R² gains {limit} or more.",
                  epoch=reported("vit_scaling.run_1.summary.epoch"), epochs=reported("vit_scaling.training.epochs"), limit=0.01)  # fmt: skip

# %%
report.hypothesis("H25", "没有过拟合迹象：训练与测试 R² 之差不超过 {limit}（原文以逐轮新噪声训练）。",
                  "No sign of overfitting: training and test R² differ by at most {limit} (the document trained with fresh noise).", limit=0.05)  # fmt: skip
report.hypothesis("H26", "样本少时容易过拟合：最小规模的训练与测试 R² 之差比最大规模至少大 {limit}。",
                  "With few spectra a ViT overfits: between training and test R² the gap at the smallest size exceeds that at the largest by {limit} or more.", limit=0.05)  # fmt: skip
report.hypothesis("H27", "逐轮新噪声防止网络记住某一次噪声：训练与测试 R² 之差至少减小 {limit}。",
                  "New noise every epoch keeps the network from learning one draw by heart: training and test R² come closer by {limit} or more.", limit=0.05)  # fmt: skip
report.hypothesis("H28", "RoPE 位置编码对其他序列长度的泛化更好。", "Rotary positions generalise better to other lengths of the sequence.")  # fmt: skip

# %%
report.hypothesis("H29", "用噪声倍数 {level} 训练的模型，在含噪光谱上优于无噪声训练的模型。",
                  "A model trained at noise level {level} beats one trained without noise on noisy spectra.", level=config.noise_level)  # fmt: skip
report.hypothesis("H30", "样本增至 {n} 时仍有明显提高：每翻一倍 R² 至少增加 {limit}。",
                  "Up to {n} spectra the gain stays clear: {limit} or more in R² per doubling.", n=study.claims.ENOUGH, limit=0.01)  # fmt: skip
report.hypothesis("H31", "样本少时 ViT 不如 LightGBM。", "With few spectra the ViT trails LightGBM.")
report.hypothesis("H32", "E 轮新噪声相当于把训练集扩大 E 倍（原文：{epochs} 轮即 {epochs} 倍）。",
                  "E epochs of new noise are worth a training set E times as large (the document: {epochs} epochs, {epochs} times).",
                  epochs=reported("vit_scaling.training.epochs"))  # fmt: skip

# %%
report.hypothesis("H33", "训练平稳：验证 R² 逐轮上升，训练损失逐轮下降。", "The training is smooth: epoch by epoch the validation R² rises and the training loss falls.")  # fmt: skip
report.hypothesis("H34", "minmax 的训练更稳定：验证 R² 逐轮变化的标准差更小。", "Training with minmax is steadier: the validation R² has a smaller standard deviation of its steps.")  # fmt: skip
report.hypothesis("H35", "minmax 的输出有界：没有预测超出训练标签的范围。", "With minmax the output is bounded: no prediction leaves the range of the training labels.")  # fmt: skip
report.hypothesis("H36", "注意力集中在对重力敏感的谱线上：含谱线的小块所得注意力至少是其余小块的 {limit} 倍。",
                  "Attention gathers on the lines that are sensitive to gravity: patches that hold one receive {limit} times the attention of the others, or more.", limit=1.2)  # fmt: skip
report.hypothesis("H37", "C1D 与 SW 是两种不同的运算：权重相同时词元也不同。", "C1D and SW are two different operations: equal weights give different tokens.")  # fmt: skip

# %%
report.hypothesis("H38", "标签含异常值时，L1 比 MSE 退化得少。", "With outliers among the labels L1 degrades less than MSE.")
report.hypothesis(
    "H39", "噪声为高斯时 MSE 最优：换成 L1，R² 不会提高。", "With Gaussian noise MSE is best: L1 does not raise R²."
)
report.hypothesis("H40", "standard 宜配 MSE，minmax 宜配 L1：各自的损失下 R² 更高。", "standard goes with MSE and minmax with L1: each has the higher R² under its own loss.")  # fmt: skip
report.hypothesis("H41", "余弦调度避免后期震荡：恒定学习率下，最后四分之一轮数里验证 R² 的标准差更大。",
                  "The cosine schedule avoids late oscillation: at a constant rate the validation R² has a larger standard deviation over the last quarter of the epochs.")  # fmt: skip
report.hypothesis("H42", "固定种子使每次评估的噪声相同。", "A fixed seed gives every evaluation the same noise.")
report.hypothesis("H43", "流量误差与流量值相关：一颗星各像素上两者的秩相关不低于 {limit}。",
                  "Flux error is related to flux: over a star's pixels their rank correlation is {limit} or more in size.", limit=0.1)  # fmt: skip
report.hypothesis("H44", "模型缩小一半会损失精度：减半深度或宽度，R² 都下降。", "A model half as large loses accuracy: half the depth or half the width lowers R².")  # fmt: skip

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
    label="HDF5" if config.train_path else pair("合成光谱网格", "synthetic grid"),
    fingerprint=study.fingerprint(config), n_train=max(config.sizes), n_dropped=0, n_val=len(sets.val), n_test=len(sets.test),
)  # fmt: skip
report.table("snr", study.evaluate.snr_quantiles(results, reported("vit_scaling.public.snr_quantiles_test_10k")),
             "测试光谱信噪比的分位数。", "Quantiles of the S/N of the test spectra.", source=study.evaluate.snr_quantiles)  # fmt: skip

# %% tags=["nbval-check-output"]
same = ("两次抽取的噪声相差 {value:g}。", "The two draws of the noise differ by {value:g}.")
study.judge(report, "H42", study.claims.redrawn(results), Criterion("within", 0.0), "fig-example", metric="difference",
            supported=same, refuted=same, inconclusive=same)  # fmt: skip

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
# 词元由卷积（`C1D`）或滑窗加线性层（SW）得到，两者算的是同一个线性映射，至多初始化不同；加上位置编码后进入前置归一化的编码器：
# $$x \leftarrow x + \mathrm{Attention}(\mathrm{LN}(x)), \qquad x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x)), \qquad
# \mathrm{Attention} = \mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$
# 汇聚后的向量经线性层输出标签。原文代码草图画的是后置归一化，实际模型是前置归一化。分类头与可学习的预处理器不在本研究范围内。

# %% [markdown] tags=["lang-en"]
# ### Model
# Tokens come from a convolution (`C1D`) or from sliding windows and a linear layer (SW): the same linear map, at most initialised differently. With
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
report.table("recipe", study.beside.recipe(config, len(sets.wave)), "原文与本次运行的设置。", "Settings of the document and of this run.",
             source=study.beside.recipe)  # fmt: skip
report.text(**study.words.scope(config, sets.wave))

# %%
study.judge(
    report, "H37", study.arms.tokenizer_difference(results), Criterion("gt", 1e-6), "tab-parameters", metric="difference",
    supported=("权重相同时词元相差可达 {value:.1e}。", "With equal weights the tokens differ by up to {value:.1e}."),
    refuted=("权重相同时词元最多相差 {value:.1e}，即舍入误差：两者是同一运算。", "With equal weights the tokens differ by {value:.1e} at most, the error of rounding: the operation is the same."),
    inconclusive=("权重相同时词元最多相差 {value:.1e}。", "With equal weights the tokens differ by {value:.1e} at most."),
)  # fmt: skip

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
figure = plots.reported_scaling(study.beside.reported_curves(reported("vit_scaling.public.scaling")))
report.figure("reported", figure, "公开记录中的规模曲线（BOSZ 光谱，另一个问题，仅作参照）。",
              "Scaling curves of public reports (BOSZ spectra: another problem, for orientation).")  # fmt: skip
told = study.beside.public_scaling(reported("vit_scaling.public.scaling"), ladder)
report.table("public_scaling", told, "公开记录与本次运行（固定噪声）在各规模上的测试 R²；“—”表示没有这一规模。",
             "Test R² at each size in the public reports and in this run (fixed noise); —: no such size.", source=study.beside.public_scaling)  # fmt: skip

# %% tags=["nbval-check-output"]
largest = results.largest()
top = results.row(largest["vit"])
trained = results.row(results.documented())
criterion = Criterion("gt", reported("vit_scaling.hypothesis_r2"), refute=reported("vit_scaling.failure_r2"))
study.judge(
    report, "H1", study.claims.scored(trained) if trained["n_train"] >= study.claims.ENOUGH else None, criterion, "fig-scaling",
    reported_as="vit_scaling.run_1.r2", n=trained["n_train"], protocol=term(trained["protocol"]),
    why=("本运行档在{protocol}下最多训练 {n:,} 条光谱，达不到假设所说的规模；`full` 档达到（参数 `fresh_sizes`）。",
         "With {protocol} this profile trains on {n:,} spectra at most and does not reach the scale of the hypothesis; the profile `full` does (parameter `fresh_sizes`)."),
    supported=("{protocol}、{n} 条光谱训练后测试 R² 为 {value:.3f}。", "With {protocol} and {n} training spectra the test R² is {value:.3f}."),
    refuted=("{protocol}、{n} 条光谱训练后测试 R² 只有 {value:.3f}。", "With {protocol} and {n} training spectra the test R² is only {value:.3f}."),
    inconclusive=("{protocol}、{n} 条光谱训练后测试 R² 为 {value:.3f}，介于两个阈值之间。", "With {protocol} and {n} training spectra the test R² is {value:.3f}, between the thresholds."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H2", study.claims.scored(top), Criterion("gt", 0.2), "fig-scaling", n=top["n_train"], level=config.noise_level,
    reported_as="vit_scaling.run_1.r2",
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
public = reported("vit_scaling.public.scaling")["vit"]
doubled = (
    "从 {before} 到 {n} 条，每翻一倍 R² 变化 {value:+.4f}。",
    "From {before} to {n} spectra R² changes by {value:+.4f} per doubling.",
)
study.judge(
    report, "H30", study.claims.doubling_gain(results), Criterion("gt", 0.01), "fig-scaling", metric="delta_r2",
    most=trained["n_train"], protocol=term(trained["protocol"]), half=public[500_000], whole=public[1_000_000], supported=doubled, refuted=doubled, inconclusive=doubled,
    why=("本运行档在{protocol}下最多训练 {most:,} 条；`full` 档达到一百万（参数 `fresh_sizes`）。公开记录中最后一次翻倍由 {half} 变为 {whole}。",
         "With {protocol} this profile trains on {most:,} spectra at most; the profile `full` reaches a million (parameter `fresh_sizes`). In the public logs the last doubling goes from {half} to {whole}."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H31", study.claims.smallest_gain(results), Criterion("lt", 0.0), "fig-scaling", metric="delta_r2",
    supported=("固定噪声、{n} 条光谱时，ViT 与 LightGBM 的 R² 之差为 {value:+.3f}。", "With fixed noise and {n} spectra the ViT's R² minus LightGBM's is {value:+.3f}."),
    refuted=("固定噪声、{n} 条光谱时 ViT 已不低于 LightGBM：R² 相差 {value:+.3f}。", "With fixed noise the ViT is not below LightGBM at {n} spectra: R² differs by {value:+.3f}."),
    inconclusive=("固定噪声、{n} 条光谱时两者的 R² 相差 {value:+.3f}，区间含零。", "With fixed noise and {n} spectra R² differs by {value:+.3f}, an interval around zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
fresh = study.claims.augmentation_gain(results)
drawn = study.judge(
    report, "H6", fresh, Criterion("gt", 0.0), "fig-scaling",
    why=("本运行档没有逐轮新噪声的训练。", "This profile trains none with fresh noise."),
    supported=("同样 {n} 颗星，逐轮新噪声使 R² 提高 {value:.3f}。", "With the same {n} stars fresh noise raises R² by {value:.3f}."),
    refuted=("同样 {n} 颗星，逐轮新噪声反而使 R² 变化 {value:.3f}。", "With the same {n} stars fresh noise changes R² by {value:.3f}."),
    inconclusive=("同样 {n} 颗星，两种协议之差为 {value:.3f}，区间含零。", "With the same {n} stars the protocols differ by {value:.3f}, an interval around zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
worth = (
    "{n} 颗星、{epochs} 轮新噪声的 R² 相当于固定噪声下 {value:.2f} 倍的星。",
    "{epochs} epochs of new noise on {n} stars reach the R² of {value:.2f} times the stars under fixed noise.",
)
study.judge(
    report, "H32", study.claims.equivalent_stars(results), Criterion("gt", results.documented().epochs), "fig-scaling", metric="equivalent_stars",
    supported=worth, refuted=worth, inconclusive=worth,
    why=("需要逐轮新噪声的训练，以及到达其 R² 的固定噪声曲线（参数 `fresh_sizes`、`sizes`）。", "It takes a training with fresh noise and a curve of fixed noise that reaches its R² (parameters `fresh_sizes`, `sizes`)."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
apart = (
    "{protocol}、{n} 条光谱时，训练与测试 R² 之差为 {value:.3f}。",
    "With {protocol} and {n} spectra training and test R² differ by {value:.3f}.",
)
study.judge(report, "H25", {"value": trained["gap"]}, Criterion("lt", 0.05), "tab-ladder", metric="gap", n=trained["n_train"],
            protocol=term(trained["protocol"]), supported=apart, refuted=apart, inconclusive=apart)  # fmt: skip
closer = ("最小规模的差距比最大规模大 {value:.3f}。", "The gap is {value:.3f} larger at the smallest size.")
study.judge(report, "H26", study.claims.gap_shrinks(ladder), Criterion("gt", 0.05), "tab-ladder", metric="gap",
            why=("本运行档只有一个规模（参数 `sizes`）。", "This profile has one size only (parameter `sizes`)."), supported=closer, refuted=closer, inconclusive=closer)  # fmt: skip

# %% tags=["nbval-check-output"]
closer = (
    "同样 {n} 颗星，逐轮新噪声使差距减小 {value:.3f}。",
    "With the same {n} stars fresh noise narrows the gap by {value:.3f}.",
)
study.judge(report, "H27", study.claims.gap_of_protocols(ladder), Criterion("gt", 0.05), "tab-ladder", metric="gap",
            why=("本运行档没有逐轮新噪声的训练（参数 `fresh_sizes`）。", "This profile trains none with fresh noise (parameter `fresh_sizes`)."), supported=closer, refuted=closer, inconclusive=closer)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 离信息极限有多远
# 上限由费希尔信息加高斯先验逐星算出再取平均；它依赖局部线性近似，是参照而非严格上界。效率是 $R^2$ 与上限之比。每个信噪比分箱内，$R^2$ 与上限都以该箱内标签的方差为准。

# %% [markdown] tags=["lang-en"]
# ### How far is the information limit?
# The ceiling averages each star's bound from Fisher information and a Gaussian prior; it rests on a local linear approximation: a
# reference, not a strict bound. Efficiency is $R^2$ over the ceiling. Within a bin of S/N both refer to the variance of the labels in that bin.

# %%
if sets.grid is not None:
    points = study.survey.reported_ceilings(reported("vit_scaling.public.fisher_ceiling"))
    ceilings = study.survey.ceilings(results)
    report.figure(
        "ceiling", spectra_plots.ceiling(ceilings, label=config.label, reported=points),
        "上限随信噪比的变化：自由标签个数与有无先验；圆圈为公开记录中 BOSZ 网格的值，与本网格不可直接相比。",
        "The ceiling against S/N by the number of free labels, with and without prior; circles: public values for the BOSZ grid, another grid.",
    )  # fmt: skip
    told = study.survey.public_ceilings(reported("vit_scaling.public.fisher_ceiling"), ceilings, config.label)
    report.table("public_ceiling", told, "公开记录（BOSZ 网格）的上限，与本网格在同一信噪比处的上限（无先验）。",
                 "Ceilings of the public reports (BOSZ grid) and of this grid at the same S/N (no prior).", source=study.survey.public_ceilings)  # fmt: skip

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
report.text(**study.words.uneven(cells))

# %% [markdown] tags=["lang-zh"]
# ### Run 1 与 Run 2
# 原文的两次训练同时改变了三件事：损失（`MSE` 换成 `L1`）、分块（`C1D` 换成 `SW`）、标签归一化（standard 换成 minmax）。下面先并排比较两次训练，再逐个因素分开。

# %% [markdown] tags=["lang-en"]
# ### Run 1 against Run 2
# The document's two runs differ in three things at once: loss (`MSE` or `L1`), tokenizer (`C1D` or `SW`) and label normalisation (standard or
# minmax). First the two runs side by side, then one factor at a time.

# %%
history = results.history()
report.figure("training", plots.training_curves(history), "两次训练（固定噪声）与逐轮新噪声训练（fresh）的曲线；训练损失的尺度不同，R² 与 MAE 可比。",
              "Curves of both runs, with fixed noise, and of the training with fresh noise; the training losses have different scales, R² and MAE compare.")  # fmt: skip
said = {run: reported(f"vit_scaling.{run}.epochs") for run in ("run_1", "run_2")}
by_epoch = study.beside.epoch_table(history, results.label_std, said)
report.table("epochs", by_epoch, "各次训练在验证集上的逐轮结果，前几行为原文数值。", "Validation results by epoch; the first rows are the document's.",
             source=study.beside.epoch_table)  # fmt: skip

# %% tags=["nbval-check-output"]
course = study.histories.of_arm(history, "fresh", "run_1")
later = (
    "{epochs} 轮中第 {since} 轮之后，验证 R² 变化 {value:+.4f}。",
    "After epoch {since} of {epochs} the validation R² changes by {value:+.4f}.",
)
study.judge(
    report, "H24", study.histories.rise_from(course, reported("vit_scaling.run_1.summary.epoch") / reported("vit_scaling.training.epochs")),
    Criterion("gt", 0.01), "fig-training", metric="delta_r2", supported=later, refuted=later, inconclusive=later,
    why=("本运行档的训练只有一轮（参数 `fresh_epochs`）。", "This profile trains for one epoch (parameter `fresh_epochs`)."),
)  # fmt: skip
step = ("{epochs} 轮中最不利的一步为 {value:+.4f}。", "Over {epochs} epochs the least favourable step is {value:+.4f}.")
study.judge(report, "H33", study.histories.smallest_step(course), Criterion("gt", 0.0), "fig-training", metric="step",
            why=("本运行档的训练只有一轮（参数 `fresh_epochs`）。", "This profile trains for one epoch (parameter `fresh_epochs`)."),
            supported=step, refuted=step, inconclusive=step)  # fmt: skip

# %%
ablations = results.ablation_table()
if len(ablations):
    report.figure("ablations", plots.ablations(ablations), "每个分支相对 `Run 1` 的 R² 变化（成对区间；`Run 2` 同时改三项）。",
                  "Change of R² against `Run 1` per arm (paired intervals; `Run 2` changes three things at once).")  # fmt: skip
    report.table("ablations", study.evaluate.brief_arms(ablations), "消融实验（{n} 条训练光谱，固定噪声）。",
                 "Ablations ({n} training spectra, fixed noise).", source=study.Results.ablation_table, n=config.ablation_size)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H5", study.arms.weakest_tokenizer(results), Criterion("gt", 0.1), "fig-ablations",
    arm="tokenizer_sw", why=study.arms.NO_ARM,
    supported=("两者都能学习，较低的 R² 为 {value:.3f}。", "Both learn; the lower R² is {value:.3f}."),
    refuted=("至少一种没有学到：较低的 R² 为 {value:.3f}。", "At least one does not learn: the lower R² is {value:.3f}."),
    inconclusive=("较低的 R² 为 {value:.3f}，区间跨过阈值。", "The lower R² is {value:.3f}; its interval crosses the threshold."),
)  # fmt: skip

# %%
study.judge(
    report, "H11", study.arms.arm_gain(results, "norm_minmax"), Criterion("gt", 0.0), "fig-ablations",
    arm="norm_minmax", why=study.arms.NO_ARM,
    supported=("minmax 使 R² 提高 {value:.3f}。", "minmax raises R² by {value:.3f}."),
    refuted=("minmax 使 R² 变化 {value:.3f}。", "minmax changes R² by {value:.3f}."),
    inconclusive=("minmax 与 standard 之差为 {value:.3f}，区间含零。", "minmax and standard differ by {value:.3f}, an interval around zero."),
)  # fmt: skip
steadier = (
    "minmax 的标准差为 {own:.4f}，standard 为 {others:.4f}。",
    "The standard deviation is {own:.4f} with minmax and {others:.4f} with standard.",
)
arms = results.history(("run_1", "norm_minmax", "rate_constant"))
study.judge(report, "H34", study.histories.step_spread(arms, "norm_minmax"), Criterion("lt", 0.0), "fig-ablations", metric="std_difference",
            why=("需要 minmax 的单因素实验和至少三轮训练（参数 `ablations`、`ablation_epochs`）。", "It takes the minmax arm and three epochs (parameters `ablations`, `ablation_epochs`)."),
            supported=steadier, refuted=steadier, inconclusive=steadier)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H35", study.arms.outside_labels(results, "norm_minmax"), Criterion("within", 0.0), "fig-ablations", metric="share", arm="norm_minmax",
    why=study.arms.NO_ARM,
    supported=("没有预测超出训练标签的范围。", "No prediction leaves the range of the training labels."),
    refuted=("有 {value:.2%} 的测试预测超出训练标签的范围：线性输出层并不限制输出。", "{value:.2%} of the test predictions leave the range of the training labels: a linear head bounds nothing."),
    inconclusive=("{value:.2%} 的测试预测超出范围。", "{value:.2%} of the test predictions leave the range."),
)  # fmt: skip

# %%
study.judge(
    report, "H12", study.arms.precision_ratio(results, "spectra_per_s"), Criterion("gt", 1.8, refute=1.5), "tab-ablations", metric="speed_ratio",
    reported_as="vit_scaling.mixed_precision.speed",
    why=("需要 GPU 上的混合精度与单精度两个实验（`full` 档）。", "It takes a mixed-precision and an fp32 arm on a GPU (profile `full`)."),
    supported=("混合精度（{kind}）的训练速度是单精度的 {value:.2f} 倍。", "Mixed precision ({kind}) is {value:.2f} times as fast as fp32."),
    refuted=("混合精度（{kind}）的训练速度只是单精度的 {value:.2f} 倍。", "Mixed precision ({kind}) is only {value:.2f} times as fast as fp32."),
    inconclusive=("混合精度（{kind}）的训练速度是单精度的 {value:.2f} 倍。", "Mixed precision ({kind}) is {value:.2f} times as fast as fp32."),
)  # fmt: skip

# %%
study.judge(
    report, "H13", study.arms.precision_ratio(results, "peak_mib"), Criterion("lt", 0.55, refute=0.67), "tab-ablations", metric="memory_ratio",
    reported_as="vit_scaling.mixed_precision.memory",
    why=("需要 GPU 上的混合精度与单精度两个实验（`full` 档）。", "It takes a mixed-precision and an fp32 arm on a GPU (profile `full`)."),
    supported=("混合精度（{kind}）的显存峰值是单精度的 {value:.0%}。", "The peak of memory in mixed precision ({kind}) is {value:.0%} of that in fp32."),
    refuted=("混合精度（{kind}）的显存峰值仍是单精度的 {value:.0%}。", "The peak of memory in mixed precision ({kind}) is still {value:.0%} of that in fp32."),
    inconclusive=("混合精度（{kind}）的显存峰值是单精度的 {value:.0%}。", "The peak of memory in mixed precision ({kind}) is {value:.0%} of that in fp32."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
better, worse = Criterion("gt", 0.0), Criterion("lt", 0.0)
moved, unclear = study.arms.MOVED, study.arms.UNCLEAR
once = (
    "R² 变化 {value:+.3f}。两者至多初始化不同，且只训练一次。",
    "R² changes by {value:+.3f}. They differ in initialisation at most, one seed each.",
)
study.judge(report, "H14", study.arms.arm_gain(results, "tokenizer_sw"), better, "fig-ablations", metric="delta_r2", arm="tokenizer_sw",
            why=study.arms.NO_ARM, supported=once, refuted=once, inconclusive=once)  # fmt: skip
study.arms.judge_arms(report, results, {
    "H15": ("loss_l1", better), "H16": ("loss_huber", better), "H17": ("run_2", better), "H18": ("position_none", worse),
    "H21": ("rate_constant", worse), "H22": ("clip_off", worse), "H39": ("loss_l1", worse)})  # fmt: skip

# %% tags=["nbval-check-output"]
unpaired = ("本运行档的 `Run 1` 用 `{pooling}` 池化，没有训练与之比较所需的分支（参数 `ablations`；`full` 档有）。",
            "`Run 1` of this profile pools by `{pooling}`, and the arm to compare it with was not trained (parameter `ablations`; the profile `full` has it).")  # fmt: skip
study.judge(report, "H19", study.arms.pooling_gain(results, "mean"), better, "fig-ablations", metric="delta_r2", pooling=config.pooling,
            why=unpaired, supported=moved, refuted=moved, inconclusive=unclear)  # fmt: skip
study.judge(report, "H20", study.arms.pooling_gain(results, "attention"), better, "fig-ablations", metric="delta_r2", pooling=config.pooling,
            why=unpaired, supported=moved, refuted=moved, inconclusive=unclear)  # fmt: skip

# %% tags=["nbval-check-output"]
bolder = ("`{arm}` 使 R² 变化 {value:+.3f}。", "`{arm}` changes R² by {value:+.3f}.")
study.judge(report, "H23", study.arms.best_gain(results, "depth_double", "width_double"), Criterion("lt", 0.01), "fig-ablations", metric="delta_r2",
            why=("本运行档没有跑加深或加宽的分支（参数 `ablations`；`full` 档有）。", "This profile runs no deeper or wider arm (parameter `ablations`; the profile `full` does)."),
            supported=bolder, refuted=bolder, inconclusive=bolder)  # fmt: skip
study.judge(report, "H44", study.arms.best_gain(results, "depth_half", "width_half"), worse, "fig-ablations", metric="delta_r2",
            why=("本运行档没有跑减半深度或宽度的分支（参数 `ablations`；`full` 档有）。", "This profile runs no arm of half the depth or width (parameter `ablations`; the profile `full` does)."),
            supported=bolder, refuted=bolder, inconclusive=bolder)  # fmt: skip

# %% tags=["nbval-check-output"]
suited = ("两个增益中较小的为 {value:+.3f}。", "The smaller of the two gains is {value:+.3f}.")
study.judge(report, "H40", study.arms.suited_losses(results), better, "fig-ablations", metric="delta_r2",
            why=("需要 `norm_minmax`、`loss_l1`、`minmax_l1` 三个分支（参数 `ablations`；`full` 档有）。", "It takes the arms `norm_minmax`, `loss_l1` and `minmax_l1` (parameter `ablations`; the profile `full` has them)."),
            supported=suited, refuted=suited, inconclusive=suited)  # fmt: skip
swing = (
    "恒定学习率的标准差为 {own:.4f}，余弦为 {others:.4f}。",
    "The standard deviation is {own:.4f} at a constant rate and {others:.4f} with cosine.",
)
study.judge(report, "H41", study.histories.late_spread(arms, "rate_constant"), better, "fig-ablations", metric="std_difference",
            why=("需要分支 `rate_constant` 和至少四轮训练（参数 `ablations`、`ablation_epochs`；`full` 档有）。", "It takes the arm `rate_constant` and four epochs (parameters `ablations`, `ablation_epochs`; the profile `full` has them)."),
            supported=swing, refuted=swing, inconclusive=swing)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(report, "H28", None, better, "fig-ablations",
            why=("所有光谱长度相同，序列长度只有一种，无从检验。", "All spectra have one length, and so has the sequence: there is nothing to test it on."))  # fmt: skip
study.judge(report, "H38", None, better, "fig-ablations", metric="delta_r2",
            why=("标签没有异常值；要检验，需在训练标签中掺入异常值再比较两种损失，目前没有这样的参数。",
                 "The labels have no outliers; to test it, outliers would have to be put among the training labels before the losses are compared, and there is no such parameter."))  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 噪声水平

# %% [markdown] tags=["lang-en"]
# ### Noise level

# %%
noise = results.noise_table()
if len(noise):
    report.figure("noise", plots.noise_sweep(noise), "R² 随噪声倍数的变化（训练与测试用同一倍数）。",
                  "R² against the noise level (the same in training and test).")  # fmt: skip
    report.table("noise", study.evaluate.brief(noise), "噪声扫描。", "Noise sweep.", source=study.Results.noise_table)
    report.text(**study.words.noisier(noise))

# %% tags=["nbval-check-output"]
study.judge(
    report, "H29", study.claims.noise_training_gain(results), Criterion("gt", 0.0), "fig-noise", metric="delta_r2",
    why=("需要无噪声训练与本次噪声倍数下训练的两个同样的网络（参数 `noise_levels`）。", "It takes two networks alike, one trained without noise, one at this run's noise level (parameter `noise_levels`)."),
    supported=("在含噪测试光谱上，含噪训练（{n} 条）的 R² 高出 {value:.3f}。", "On noisy test spectra training with noise ({n} spectra) leads by {value:.3f} in R²."),
    refuted=("在含噪测试光谱上，含噪训练（{n} 条）的 R² 变化 {value:+.3f}。", "On noisy test spectra training with noise ({n} spectra) changes R² by {value:+.3f}."),
    inconclusive=("在含噪测试光谱上，含噪训练（{n} 条）的 R² 变化 {value:+.3f}，区间含零。", "On noisy test spectra training with noise ({n} spectra) changes R² by {value:+.3f}, an interval around zero."),
)  # fmt: skip

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

# %%
report.table("flux_error", study.flux_error.by_flux_error(results, largest["vit"]), "按平均流量误差分箱的测试星：ViT 的 MAE。",
             "Test stars by their mean flux error: MAE of the ViT.", source=study.flux_error.by_flux_error)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H9", study.flux_error.bootstrap_spearman(results, largest["vit"]), Criterion("within", 0.1), "tab-flux_error", metric="rank_correlation",
    supported=("秩相关为 {value:.3f}，两者无关。", "The rank correlation is {value:.3f}: unrelated."),
    refuted=("秩相关为 {value:.3f}：两者并非无关。", "The rank correlation is {value:.3f}: the two are not unrelated."),
    inconclusive=("秩相关为 {value:.3f}，区间跨过界限。", "The rank correlation is {value:.3f}; its interval crosses the limit."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
study.judge(
    report, "H10", study.arms.best_gain(results, "loss_heteroscedastic_mse", "loss_heteroscedastic_l1"), Criterion("lt", 0.0), "fig-ablations", metric="delta_r2",
    why=("本运行档没有跑这两种损失（参数 `ablations`；`full` 档有）。", "This profile runs neither of these losses (parameter `ablations`; the profile `full` does)."),
    supported=("按流量误差加权（`{arm}`）使 R² 变化 {value:+.3f}，没有好处。", "Weighting by the flux error (`{arm}`) changes R² by {value:+.3f}: no use."),
    refuted=("按流量误差加权（`{arm}`）使 R² 提高 {value:.3f}。", "Weighting by the flux error (`{arm}`) raises R² by {value:.3f}."),
    inconclusive=("按流量误差加权（`{arm}`）使 R² 变化 {value:+.3f}，区间含零。", "Weighting by the flux error (`{arm}`) changes R² by {value:+.3f}, an interval around zero."),
)  # fmt: skip
related = ("秩相关的大小为 {value:.3f}。", "The rank correlation has the size {value:.3f}.")
study.judge(report, "H43", study.flux_error.with_flux(results), Criterion("gt", 0.1), "fig-example", metric="rank_correlation",
            why=("默认的噪声标准差取自参考星，与各星自身的流量无关（参数 `error_source` 取 `clean` 或 `noisy` 时可检验）。",
                 "By default sigma is taken from a reference star, whatever a star's own flux (testable with `clean` or `noisy` for the parameter `error_source`)."),
            supported=related, refuted=related, inconclusive=related)  # fmt: skip

# %%
coverage = study.evaluate.calibration(results)
report.table("coverage", coverage, "异方差头（预测 log g 及其标准差）在测试星上的覆盖率；未跑该实验时为空。",
             "Coverage of the heteroscedastic head (log g and its standard deviation) on test stars; empty where it was not run.",
             source=study.evaluate.calibration)  # fmt: skip
report.text(**study.words.calibrated(coverage))

# %% [markdown] tags=["lang-zh"]
# ### 模型在看哪里
# 下图取自发布的模型，即验证 R² 最高的 ViT：对测试星与注意力头取平均；有 CLS 词元时为它对各小块的注意力，否则对所有查询词元取平均。

# %% [markdown] tags=["lang-en"]
# ### Where does the model look?
# The figure is of the published model, the ViT of the highest validation R²: the mean over test stars and heads, of the CLS token's
# attention where there is one, or else averaged over queries.

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

# %% tags=["nbval-check-output"]
looked = (
    "{of} 个小块中 {patches} 个含敏感谱线，所得注意力是其余小块的 {value:.2f} 倍。",
    "{patches} of {of} patches hold a sensitive feature and receive {value:.2f} times the attention of the others.",
)
study.judge(report, "H36", study.claims.attention_ratio(attention, features), Criterion("gt", 1.2), "fig-attention", metric="attention_ratio",
            why=("窗口内的小块全部含有或全部不含敏感谱线（参数 `patch_size`、`window_aa`）。", "All patches of the window hold a sensitive feature, or none does (parameters `patch_size`, `window_aa`)."),
            supported=looked, refuted=looked, inconclusive=looked)  # fmt: skip

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
speed = study.beside.throughput(results, largest["vit"])
report.text(
    "最大规模（{n} 条，固定噪声）上，ViT、LightGBM、岭回归的 R² 为 {vit:.3f}、{lightgbm:.3f}、{ridge:.3f}；"
    "ViT 的训练 R² 比测试 R² 高 {gap:.3f}。{limit}{protocols}",
    "At the largest size ({n}, fixed noise) ViT, LightGBM and Ridge have R² {vit:.3f}, {lightgbm:.3f} and {ridge:.3f}; "
    "the ViT's training R² is {gap:.3f} above that on the test set. {limit} {protocols}",
    n=top["n_train"], vit=top["r2"], lightgbm=results.row(largest["lightgbm"])["r2"], ridge=results.row(largest["ridge"])["r2"],
    limit=study.words.limit(top["r2"], ceiling), gap=top["gap"], protocols=study.words.protocols(drawn),
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
# 小规模的运行只说明这些规模上的先后；完整配置在 `full` 档，需要 GPU。下一步是在用户自己的光谱上重复同一阶梯，以及更深、更宽的模型。
#
# 阅读这些数字时要记住三点。其一，光谱来自合成网格：谱线形成偏离局部热动平衡、地球大气吸收的残余、真实观测的系统误差都不在其中，这里的 $R^2$ 不能当作实测光谱上的精度。
# 其二，区间是对测试星重抽样得到的，只反映测试集有限带来的起伏；除最大规模设有多个种子外，每个网络只训练一次，不同初始化之间的起伏没有计入，
# 因此很小的差距即使区间不含零，也应换种子复核。其三，若各规模轮数不同（见规模阶梯表），总步数也不同，曲线便同时含有样本数与步数的作用。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# A small run orders the methods at its own sizes only; the document's scale is the profile `full`, which needs a GPU. Next: the same ladder on the user's own spectra, and deeper and wider models.
#
# Three things to keep in mind. First, the spectra come from a synthetic grid: departures from local thermodynamic equilibrium, telluric
# residuals and the systematics of real exposures are not in it, so that no $R^2$ here promises anything for observed spectra. Second, the
# intervals resample test stars and so speak of the finite test set alone; but for the largest size, where a profile may ask for several
# seeds, every network is trained once, and the scatter between initialisations is not included: repeat a small difference with another
# seed even where its interval excludes zero. Third, where epochs differ between sizes (see the ladder), so do the steps, and the curve
# mixes the two.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")
report.fact(
    "r2",
    top["r2"],
    "最大规模上 ViT 的测试 R²（固定噪声；原文为逐轮新噪声下的验证 R²）",
    "test R² of the ViT at the largest size (fixed noise; the document's is on validation, with fresh noise)",
    reported_as="vit_scaling.run_1.r2",
)

# %%
report.fact(
    "mae_dex",
    top["mae_dex"],
    "最大规模上 ViT 的测试 MAE（原文为验证 MAE）",
    "test MAE of the ViT at the largest size (the document's is on validation)",
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
own = study.histories.of_arm(history, "fresh", "run_1")
if len(own):
    best_epoch = int(own.sort_values("val_mae").epoch.iloc[0])
    report.fact("best_epoch", best_epoch, "`Run 1`（逐轮新噪声，如有）验证 MAE 最低的轮次", "epoch of `Run 1` (with fresh noise where there is such a run) with the lowest validation MAE", reported_as="vit_scaling.run_1.best_epoch")  # fmt: skip
report.fact("label_std", results.label_std, "标签的标准差", "standard deviation of the label", unit="dex", reported_as="vit_scaling.run_1.label_std")  # fmt: skip
low, high = (float(v) for v in (sets.train.labels.min(), sets.train.labels.max()))
report.fact("label_range", f"[{low:.1f}, {high:.1f}]", "训练集标签的范围", "range of the label in training", unit="dex", reported_as="vit_scaling.log_g_range")  # fmt: skip

# %%
report.fact("parameters", speed["parameters"], "模型参数量", "parameters of the model", reported_as="vit_scaling.parameters")
counted = int(parameter_table(SpectrumViT(study.beside.DOCUMENT_MODEL)).parameters.iloc[-1])
report.fact("parameters_document", counted, "原文配置的参数量（数出）", "parameters of the document's configuration, counted", reported_as="vit_scaling.parameters")  # fmt: skip
batches = speed["spectra_per_s"] / study.beside.DOCUMENT["batch_size"]
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
    flops(study.beside.DOCUMENT_MODEL)["forward"] / 1e9,
    "原文配置的前向运算量",
    "forward pass of the document's configuration",
    unit="GFLOP",
)

# %%
report.finish(
    answer=study.words.answer(top, results.row(largest["lightgbm"])["r2"], study.claims.slope(scaling), ceiling, study.claims.crossing_at(results), min(config.sizes)),
    short=study.words.short(top, results.row(largest["lightgbm"])["r2"], ceiling, study.claims.crossing_at(results), min(config.sizes)),
    seeds=range(config.seed, config.seed + config.repeats), provenance=rt.provenance(runtime), figure="scaling",
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
