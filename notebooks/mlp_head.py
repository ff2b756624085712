# %% [markdown] tags=["lang-zh"]
# # 冻结编码器上的小网络能否胜过岭回归？

# %% [markdown] tags=["lang-en"]
# # Does a small network on the frozen encoder beat Ridge?

# %% tags=["parameters"]
# 常用参数 / the parameters that matter most
profile: str = "smoke"  # 运行档：smoke、quick 或 full / profile: smoke, quick or full
seed: int = 0  # 随机种子 / random seed
device: str = "auto"  # 计算设备：auto、cpu、cuda 或 cuda:N / auto, cpu, cuda or cuda:N
data_dir: str = ""  # 用户数据目录（空：内置默认数据） / folder of the user's data (empty: embedded default)
out_dir: str = ""  # 结果目录（空：build/<运行档>/<研究>） / folder of all results (empty: build/<profile>/<study>)
checkpoint: str = ""  # 去噪器权重 / denoiser weights
layer: str = "enc_pre_latent"  # 预测头读取的层 / layer the head reads
pooling: str = "seg_mean_K8"  # 潜表示的池化 / pooling of the latent
epochs: int = 5  # 最多训练轮数 / epochs at most
arms: list[str] = ["cells", "linear"]  # 后续实验 / follow-ups

# 其余参数 / the rest
precision: str = "auto"  # 训练精度 / arithmetic of training
num_threads: int = 0  # CPU 线程数 / CPU threads
force: bool = False  # 忽略运行缓存 / ignore the run cache
lang: str = "zh"  # 首先显示的语言 / language shown first
train_path: list = []  # 训练用 HDF5 文件或分片（空：内置网格） / HDF5 file or shards to train on (empty: the grid)
val_path: str = ""  # 验证光谱的 HDF5 文件 / HDF5 file of validation spectra
test_path: str = ""  # 测试光谱的 HDF5 文件 / HDF5 file of test spectra
grid_path: str = ""  # 光谱网格文件（空：内置合成网格） / spectral grid (empty: the embedded synthetic grid)
window_aa: list[float] = [8412.0, 8850.0]  # 波长窗口（空：全部像素） / wavelength window (empty: all pixels)
mask_ratio: float = 1.0  # 保留文件中误差最小的这部分像素 / keep this part of a file's pixels, those of least error
noise_preset: str = "mag215"  # 观测条件：mag215 或 mag205_225 / observing conditions: mag215 or mag205_225
error_source: str = "reference"  # 噪声标准差取自何处（见 lib.data.noise） / whose photons set sigma (see lib.data.noise)
noise_level: float = 0.3  # 噪声倍数 / factor on sigma
n_train: int = 512  # 探针的训练光谱数 / training spectra of the probes
n_val: int = 128  # 验证光谱数 / validation spectra
n_test: int = 256  # 测试光谱数 / test spectra
labels: list[str] = ["t_eff", "log_g", "m_h", "a_m", "c_m"]  # 要读出的标签 / labels to read off the latents
real_path: str = ""  # 要预测的实测光谱 HDF5 文件（空：无） / HDF5 file of real spectra to predict (empty: none)
run_name: str = "frozen_enc_pre_latent_seg_mean_K8"  # 运行名称 / name of the run, in the results
direction: str = "mean"  # 两个读取方向的合并方式 / how the two reading directions are merged
edges: str = "adaptive"  # 分段边界 / edges of segments
hidden: int = 256  # 隐藏层宽度 / width of the hidden layer
dropout: float = 0.1  # 随机失活率 / dropout
learning_rate: float = 0.001  # AdamW 学习率 / learning rate of AdamW
weight_decay: float = 0.0001  # 权重衰减 / weight decay
batch_size: int = 256  # 每步光谱数 / spectra per step
stop_patience: int = 15  # 早停耐心（轮） / epochs without gain before stopping
clip: float = 0.5  # 梯度裁剪 / gradient clip
realisations: int = 2  # 缓存的噪声样本数 / cached noise realisations of the latents
arm_epochs: int = 3  # 后续实验的训练轮数 / epochs of a follow-up
head_seeds: int = 5  # 比较两个预测头时所用的训练种子数 / training seeds behind a comparison of two heads
folds: int = 5  # 交叉验证折数 / folds of the cross-validation
unfrozen_rate: float = 0.0001  # 解冻编码器的学习率 / learning rate of the unfrozen encoder
n_boot: int = 200  # 区间所用的自助抽样次数 / bootstrap draws behind an interval

# %%
from lib import runtime as rt
from lib.evidence import gap, score
from lib.explore import explore
from lib.plots import explore as viewers
from lib.plots import mlp_head as plots
from lib.report import Report, reported, term
from lib.studies import mlp_head as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)
report = Report(config)

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 潜表示研究用岭回归读出表面重力。本研究换成带一个隐藏层的网络，编码器保持冻结，特征完全相同，看非线性能带来多少。
# 原文的结论：

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# The study of the latents reads surface gravity by Ridge. Here a network with one hidden layer takes its place: the encoder
# stays frozen, the features are the same, and the question is what nonlinearity adds. The conclusions of the document:

# %%
report.conclusions()

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# 预测头读入分段均值池化的潜表示：线性层、GELU、Dropout、线性层。损失为均方误差，AdamW，验证 R² 停滞时学习率减半，早停看验证 R²。
# 岭回归的惩罚与原文相同，用的是同一批特征。训练特征按若干个噪声样本缓存，逐轮轮换；参数设为零时每轮重新抽取噪声。
# 岭回归也拟合全部缓存的噪声样本，否则比较会偏向网络；只用一个噪声样本的岭回归另列一行。参数设为零时，岭回归只见一个噪声样本。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# The head reads the latents pooled by segments: linear, GELU, dropout, linear. The loss is the squared error, the optimiser
# AdamW; the learning rate is halved when validation R² stands still, and early stopping watches it too. Ridge has the
# documents' penalty and the same features. Training features are cached for several noise draws that take turns by epoch; at
# zero the noise is drawn anew. Ridge is fitted on all cached draws too, lest the comparison favour the network; Ridge on a
# single draw has a row of its own. Where the noise is drawn anew, Ridge sees one draw.

# %%
report.code(study.MLPHead, "预测头：(B, 特征) -> (B, 标签)。", "The head: (B, features) -> (B, labels).")
report.code(study.squared_error, "损失：以标签方差为单位的均方误差。", "The loss: the squared error in label variances.")

# %%
prepared = study.prepare(config, runtime)
sizes = {"n_train": config.n_train, "n_test": config.n_test}
report.describe_data(**study.describe(config), **sizes, pixels=len(prepared.test.wave), noise_level=config.noise_level)
cell = study.own_cell(config)
found = study.features(config, prepared, list(dict.fromkeys([cell, *study.DOCUMENTS])))
report.text(
    "编码器来自潜表示研究的检查点；特征 {dim} 维，{n_train} 颗训练星，{n_test} 颗测试星，噪声倍数 {level}。",
    "The encoder of the latents' study; {dim} features, {n_train} training and {n_test} test stars, noise factor {level}.",
    dim=found["val"][cell].shape[1],
    level=config.noise_level,
    **sizes,
)

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 训练过程
# 主预测头与参数 `arms` 列出的后续实验一并训练。

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Training
# The main head is trained, and with it the follow-ups that the parameter `arms` names.

# %%
heads = study.train(config, runtime, prepared)
main, ridge_val = heads[0].history, study.ridge_validation(config, prepared, found)
epochs = study.history_table(main, reported("mlp_head.validation"))
report.table(
    "validation",
    epochs,
    "原文所列轮次的验证指标（第零轮为未训练的网络）。",
    "Validation at the documents' epochs (epoch zero is the untrained network).",
    source=study.history_table,
)

# %%
report.figure(
    "history",
    plots.history(study.histories(heads), ridge_val, reported=epochs),
    "验证 R² 随训练轮次的变化；虚线为同一批验证星上的岭回归，菱形为原文（BOSZ）。",
    "Validation R² by epoch; dashed: Ridge on the same validation stars; diamonds: reported (BOSZ).",
)
report.judge(
    H7=study.at_once(main),
    H8=study.early_share(main, 20),
    H9=study.ahead_of_ridge(main, reported("mlp_head.epoch_past_ridge.epoch"), ridge_val),
    H13=study.late_drop(main, 20),
)

# %% [markdown] tags=["lang-zh"]
# ### 测试结果与岭回归
# 同一批测试星上，每个预测头与岭回归的配对差及其区间。

# %% [markdown] tags=["lang-en"]
# ### Test results against Ridge
# Every head and its paired difference to Ridge on the same test stars, with its interval.

# %%
predicted = study.predictions(config, prepared, found, heads)
first = predicted[predicted.seed == config.seed]
draws = {"n": config.n_boot, "seed": config.seed}
results = study.results(first, run_name=config.run_name, **draws)
report.table(
    "results",
    results,
    "测试指标；收益是与岭回归在同一批测试星上的配对差。",
    "Test scores; the gain is the paired difference to Ridge on the same test stars.",
    source=study.results,
)

# %%
report.figure("methods", plots.methods(results), "测试 R² 与区间。", "Test R² with intervals.")
report.judge(
    H1=gap(first, "mlp", "ridge", **draws),
    H2=gap(first, "mlp", "ridge", **draws),
    H3=score(first, "mlp", **draws),
    H6=study.beyond_linear(first, **draws),
)

# %%
report.figure(
    "predicted",
    plots.predicted(study.predicted_table(first)),
    "测试星上的预测与真值；点落在对角线上即预测准确，向均值收缩则两端偏离对角线。",
    "Prediction against truth on the test stars; points on the diagonal are exact, and shrinkage to the mean tilts both ends.",
)

# %% [markdown] tags=["lang-zh"]
# ### 原文留空的单元

# %% [markdown] tags=["lang-en"]
# ### The cells that the document left blank

# %%
cells = study.cells_table(study.cell_predictions(config, prepared, found, heads), **draws)
report.figure(
    "cells",
    plots.cells(cells),
    "每个层与池化单元上的岭回归与预测头；两者的间距就是非线性带来的部分。",
    "Ridge and the head on every layer and pooling; the distance between the two is what nonlinearity adds.",
)
report.table("cells", cells, "各单元的测试 R² 与收益。", "Test R² and gain by cell.", source=study.cells_table)

# %% [markdown] tags=["lang-zh"]
# ### 后续实验
# “端到端更优”只有解冻编码器的实验才能判定；原文在编码器冻结时就下了这个结论。更深的网络与多标签的预测头各用多个随机种子训练，
# 与主预测头逐种子比较。

# %% [markdown] tags=["lang-en"]
# ### Follow-ups
# Only the arm with the unfrozen encoder can decide whether end to end is better; the document drew that conclusion with a
# frozen one. The deeper head and the one with several labels are trained with several seeds and compared with the main head
# seed by seed.

# %%
left_out = ", ".join(name for name in study.ARMS if name not in config.arms) or "-"
report.text("本次运行未包含的后续实验：{arms}。", "Follow-ups that this run leaves out: {arms}.", arms=left_out)
report.judge(
    H4=gap(first, "unfrozen", "mlp", **draws),
    H10=gap(predicted, "mlp_2", "mlp", **draws),
    H11=gap(predicted, "multitask", "mlp", **draws),
    H12=gap(first, "attention", "mlp", **draws),
)

# %%
folds = study.folds(config, prepared, heads)
report.table(
    "folds", folds, "交叉验证：各折留出行与测试集上的 R²。", "R² on held-out rows and on the test set.", source=study.folds
)
report.judge(H5=study.half_width(folds))

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
report.text(
    "最好的验证结果出现在第 {best} 轮；首次超过岭回归是第 {past} 轮。原文报告的提升为 {percent}%，本次为 {mine}%（不同数据）。",
    "The best validation comes at epoch {best}; Ridge is first passed at epoch {past}. "
    "The documents report a gain of {percent}%, this run has {mine}% (other data).",
    best=study.best_epoch(main),
    past=study.first_past(main, ridge_val),
    mine=study.gain_percent(results),
    percent=reported("mlp_head.gain_over_ridge_pct"),
)

# %% [markdown] tags=["lang-zh"]
# 与岭回归的差距衡量的是特征中的非线性成分，而不是编码器的功劳：原始流量上的网络见潜表示研究的对照。

# %% [markdown] tags=["lang-en"]
# The distance to Ridge measures what is nonlinear in the features, not the merit of the encoder: for a network on the raw
# flux see the controls of the latents' study.

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 发布的模型包含编码器与预测头，可用 `predict` 命令处理同样波长格点的光谱。下一步是本次未包含的实验与实测光谱。
#
# 局限：只有一个编码器；H10 与 H11 的区间包含预测头的训练种子和测试星的抽样，其余区间只反映测试星的抽样，预测头只用一个种子；特征含无噪流量监督过的编码器的功劳；内置数据的噪声倍数低于原文。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# The published model holds encoder and head; the `predict` command applies it to spectra on the same pixels. Next come the
# follow-ups that this run leaves out, and real spectra.
#
# Limits: one encoder; the intervals of H10 and H11 hold the heads' training seeds and the test stars, the others resample test
# stars alone under one seed of the head; an encoder that was trained with the noiseless flux in its
# loss, and noise below the documents' in the embedded data.

# %%
study.publish(config, report.model_dir, prepared, heads[0], study.histories(heads))
real = study.real_spectra(config, report.model_dir, runtime.device)
report.text(
    "实测光谱（参数 `real_path`）：{n_real} 条；预测 log g 的中位数 {median}，标准差 {sd}。",
    "Real spectra (parameter `real_path`): {n_real}; median predicted log g {median}, standard deviation {sd}.",
    **real,
)

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")

# %%
row, linear = (results[results.method == name].iloc[0] for name in ("mlp", "ridge"))
for name, unit in {"test_r2": "", "test_rmse": "dex", "test_mae": "dex", "test_mse": "dex²"}.items():
    report.fact(name, row[name], **term(name), unit=unit, reported_as=f"mlp_head.{name}", source=study.results)
own = {"reported_as": "mlp_head.ridge.test_r2", "source": study.results}
report.fact("ridge_test_r2", linear.test_r2, "岭回归测试 R²", "test R² of Ridge", **own)

# %%
said, own = ("最佳验证 R²", "best validation R²"), {"source": study.train}
report.fact("best_epoch", study.best_epoch(main), "最佳轮次", "best epoch", reported_as="mlp_head.best_epoch", **own)
report.fact("val_r2", main.val_r2.max(), *said, reported_as="mlp_head.val_r2", **own)
own = {"unit": "%", "reported_as": "mlp_head.gain_over_ridge_pct", "source": study.gain_percent}
report.fact("gain_pct", study.gain_percent(results), "相对岭回归的提升", "gain over Ridge", **own)
own = {"reported_as": "mlp_head.head.parameters", "source": study.parameters}
report.fact("head_parameters", study.parameters(heads[0]), "预测头参数量", "parameters of the head", **own)

# %%
numbers = {"gain": row.gain, "low": row.gain_low, "high": row.gain_high, "mlp": row.test_r2, "ridge": linear.test_r2}
data = report.data.get("label", report.data["name"])
report.finish(
    **report.answer(**numbers, data=data, level=config.noise_level), provenance=rt.provenance(runtime), figure="history"
)

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以选择方法，查看残差怎样随真值变化（需要可选依赖：`pip install -e ".[explore]"`）；发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose a method and see how its residuals change with the truth (optional extra: `pip install -e ".[explore]"`);
# the page leaves this section out.

# %% tags=["explore"]
by_method = dict(list(first.groupby("arm", sort=False)))
explore(
    lambda method: viewers.residuals(by_method[method].truth, by_method[method].pred, "log g (dex)"), method=list(by_method)
)
