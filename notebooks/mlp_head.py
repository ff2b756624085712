# %% [markdown] tags=["lang-zh"]
# # 冻结编码器上的小网络能否胜过岭回归？

# %% [markdown] tags=["lang-en"]
# # Does a small network on the frozen encoder beat Ridge?

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
real_path = ""
run_name = "frozen_enc_pre_latent_seg_mean_K8"
layer = "enc_pre_latent"
pooling = "seg_mean_K8"
direction = "mean"
edges = "adaptive"
hidden = 256
dropout = 0.1
learning_rate = 0.001
weight_decay = 0.0001
batch_size = 256
epochs = 5
stop_patience = 15
clip = 0.5
realisations = 2
arms = ["cells", "linear"]
arm_epochs = 3
folds = 5
unfrozen_rate = 0.0001
n_boot = 200

# %%
from lib import runtime as rt
from lib.explore import explore
from lib.plots import explore as viewers
from lib.plots import mlp_head as plots
from lib.report import Criterion, Report, pair, reported, term
from lib.studies import mlp_head as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %%
report = Report(
    config,
    title=pair("冻结的盲点编码器上的 log g 预测头", "A log g head on the frozen blind-spot encoder"),
    question=pair("同样的潜表示上，一个小的多层感知机能比岭回归多读出多少表面重力（log g）？",
                  "On the same latents, how much more surface gravity (log g) does a small MLP read than Ridge?"),
    header={"experiment_id": "—", "author": "—", "date": str(reported("mlp_head.date")),
            "project": "BlindSpot", "topic": "distill", "mvp": "MVP 1.4", "model_version": f"{config.run_name}"},
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 潜表示研究用岭回归读出表面重力。本研究换成带一个隐藏层的网络，编码器保持冻结，特征完全相同，看非线性能带来多少。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# The study of the latents reads surface gravity by Ridge. Here a network with one hidden layer takes its place: the encoder stays
# frozen, the features are the same, and the question is what nonlinearity adds.

# %%
report.hypothesis("H1", "多层感知机优于同一特征上的岭回归。", "The MLP beats Ridge on the same features.")
report.hypothesis(
    "H2", "编码器冻结时，预测头也不逊于岭回归（R² 差不超过 {limit}）。",
    "With the encoder frozen the head is no worse than Ridge (within {limit} of R²).", limit=0.01,
)  # fmt: skip
report.hypothesis(
    "H3", "特征信息充足：测试 R² 不低于 {limit}。", "The features hold enough: test R² of {limit} or more.", limit=0.5
)

# %%
report.hypothesis(
    "H4",
    "端到端训练（从训练好的预测头出发，解冻编码器并续训）优于只训练预测头。",
    "Training end to end (from the trained head on, with the encoder unfrozen) beats training the head alone.",
)
report.hypothesis("H5", "交叉验证稳定：各折留出 R² 的区间半宽不超过 {limit}。",
                  "Cross-validation is stable: the interval of the folds' held-out R² is {limit} wide at most on each side.", limit=0.05)  # fmt: skip

report.hypothesis("H6", "特征与 log g 之间有线性模型抓不住的关系：预测头优于岭回归与同样训练的线性头中较好的一个。",
                  "Features and log g are related in ways that a linear model misses: the head beats the better of Ridge and a linear head trained alike.")  # fmt: skip
report.hypothesis("H7", "收敛很快：第一轮之后，验证 R² 就达到最佳值的 {share:.0%}。", "It converges fast: after the first epoch validation R² is {share:.0%} of the best or more.", share=0.5)  # fmt: skip
report.hypothesis("H8", "提升主要在前 {epoch} 轮：从第一轮到最佳轮次的提升，至少 {share:.0%} 来自这一段。",
                  "Most of the rise comes in the first {epoch} epochs: at least {share:.0%} of it, from the first epoch to the best.", epoch=20, share=0.8)  # fmt: skip
report.hypothesis("H9", "到第 {epoch} 轮，验证 R² 已经超过岭回归。", "By epoch {epoch} validation R² is past Ridge's.", epoch=reported("mlp_head.epoch_past_ridge.epoch"))  # fmt: skip

# %%
report.hypothesis("H10", "更深的网络（两个隐藏层）能抓住更复杂的关系。", "A deeper network (two hidden layers) catches more.")
report.hypothesis("H11", "同时预测多个标签有帮助。", "Predicting several labels at once helps.")
report.hypothesis(
    "H12",
    "池化时加入注意力有帮助（这一分支只见一个噪声样本）。",
    "Attention in the pooling helps (this arm sees a single noise draw).",
)
report.hypothesis("H13", "第 {epoch} 轮之后波动很小：验证 R² 逐轮的最大跌幅不超过 {limit}。",
                  "After epoch {epoch} it fluctuates little: from one epoch to the next validation R² drops by {limit} at most.", epoch=20, limit=0.02)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# 预测头读入分段均值池化的潜表示：线性层、GELU、Dropout、线性层。损失为均方误差，AdamW，验证 R² 停滞时学习率减半，早停看验证 R²。
# 岭回归的惩罚与原文相同，用的是同一批特征。训练特征按若干个噪声样本缓存，逐轮轮换；参数设为零时每轮重新抽取噪声。
# 岭回归也拟合全部缓存的噪声样本，否则比较会偏向网络；只用一个噪声样本的岭回归另列一行。参数设为零时，岭回归只见一个噪声样本。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# The head reads the latents pooled by segments: linear, GELU, dropout, linear. The loss is the squared error, the optimiser AdamW; the
# learning rate is halved when validation R² stands still, and early stopping watches it too. Ridge has the documents' penalty and the
# same features. Training features are cached for several noise draws that take turns by epoch; at zero the noise is drawn anew.
# Ridge is fitted on all cached draws too, lest the comparison favour the network; Ridge on a single draw has a row of its own.
# Where the noise is drawn anew, Ridge sees one draw.

# %%
prepared = study.prepare(config, runtime)
report.describe_data(**study.describe(config), n_train=config.n_train, n_test=config.n_test,
                     pixels=len(prepared.test.wave), noise_level=config.noise_level)  # fmt: skip
cell = (config.layer, config.pooling)
cells = list(dict.fromkeys([cell, *study.DOCUMENTS]))
found = study.features(config, prepared, cells)
report.text("编码器来自潜表示研究的检查点；特征 {dim} 维，{train} 颗训练星，{test} 颗测试星，噪声倍数 {level}。",
            "The encoder comes from the checkpoint of the latents' study; {dim} features, {train} training and {test} test stars, noise factor {level}.",
            dim=found["val"][cell].shape[1], train=config.n_train, test=config.n_test, level=config.noise_level)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 训练过程

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Training

# %%
ridge = study.ridge(config, prepared, found, cell)
main = study.head(config, runtime, prepared, cell)
truth, val_truth = study.truth(config, prepared), study.truth(config, prepared, "val")
ridge_val = study.r2(val_truth, ridge["val"])
table = study.history_table(main.history, reported("mlp_head.validation"))
report.table("validation", table, "原文所列轮次的验证指标（第零轮为未训练的网络）。", "Validation at the documents' epochs (epoch zero is the untrained network).",
             source=study.history_table)  # fmt: skip

# %%
others, left_out = study.follow_ups(config, runtime, prepared)
histories = study.long_history({"mlp": main.history} | {name: head.history for name, head in others.items()})
report.figure("history", plots.history(histories, ridge_val, reported=table), "验证 R² 随训练轮次的变化；虚线为同一批验证星上的岭回归，菱形为原文（BOSZ）。",
              "Validation R² by epoch; dashed: Ridge on the same validation stars; diamonds: reported (BOSZ).")  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H7", metric="share", criterion=Criterion("gt", 0.5), anchor="fig-history", reported_as="mlp_head.first_epoch_share", **study.at_once(main.history),
    supported=("第一轮之后达到 {value:.0%}。", "It is {value:.0%} after the first epoch."), refuted=("第一轮之后只有 {value:.0%}。", "It is only {value:.0%} after the first epoch."),
    inconclusive=("第一轮之后达到 {value:.0%}。", "It is {value:.0%} after the first epoch."),
)  # fmt: skip
report.claim(
    "H8", metric="share", criterion=Criterion("gt", 0.8), anchor="fig-history", reported_as="mlp_head.share_of_rise_by_epoch_20", **study.early_share(main.history, 20),
    supported=("这一段占 {value:.0%}。", "They make {value:.0%}."), refuted=("这一段只占 {value:.0%}。", "They make only {value:.0%}."),
    inconclusive=("这一段占 {value:.0%}。", "They make {value:.0%}."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H9", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-history",
    **study.ahead_of_ridge(main.history, reported("mlp_head.epoch_past_ridge.epoch"), ridge_val),
    supported=("届时最好的验证 R² 比岭回归高 {value:.3f}。", "The best validation R² by then is {value:.3f} above Ridge's."),
    refuted=("届时最好的验证 R² 仍与岭回归相差 {value:.3f}。", "The best validation R² by then still differs from Ridge's by {value:.3f}."),
    inconclusive=("届时与岭回归相差 {value:.3f}。", "By then it differs from Ridge's by {value:.3f}."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H13", metric="late_drop", criterion=Criterion("lt", 0.02), anchor="fig-history", reported_as="mlp_head.late_drop", **study.late_drop(main.history, 20),
    supported=("最大跌幅为 {value:.3f}。", "The largest drop is {value:.3f}."), refuted=("最大跌幅达 {value:.3f}。", "The largest drop is {value:.3f}: too much."),
    inconclusive=("最大跌幅为 {value:.3f}。", "The largest drop is {value:.3f}."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 测试结果与岭回归

# %% [markdown] tags=["lang-en"]
# ### Test results against Ridge

# %%
one = study.ridge(config, prepared, found, cell, draws=1)["test"]
methods = {"ridge": ridge["test"], "mlp": main.pred["test"], "ridge_one_draw": one} | {
    name: head.pred["test"] for name, head in others.items()
}
results = study.results(truth, methods, n_boot=config.n_boot, seed=config.seed, run_name=config.run_name)
report.figure("methods", plots.methods(results), "测试 R² 与区间。", "Test R² with intervals.")
report.table("results", results, "测试指标；收益是与岭回归在同一批测试星上的配对差。", "Test scores; the gain is the paired difference to Ridge on the same test stars.",
             source=study.results)  # fmt: skip

# %% tags=["nbval-check-output"]
gain = study.gain_of(results, "mlp")
report.claim(
    "H1", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", reported_as="mlp_head.gain_over_ridge", **gain,
    supported=("R² 提高 {value:.3f}（区间 {low:.3f} 到 {high:.3f}）。", "R² rises by {value:.3f} (interval {low:.3f} to {high:.3f})."),
    refuted=("R² 变化 {value:.3f}，不如岭回归。", "R² changes by {value:.3f}: worse than Ridge."),
    inconclusive=("R² 之差 {value:.3f} 的区间含零（{low:.3f} 到 {high:.3f}）。", "The interval of the difference {value:.3f} includes zero ({low:.3f} to {high:.3f})."),
)  # fmt: skip
report.claim(
    "H2", metric="gain", criterion=Criterion("gt", -0.01), anchor="fig-methods", reported_as="mlp_head.gain_over_ridge", **gain,
    supported=("差值 {value:.3f}，不逊于岭回归。", "The difference is {value:.3f}: no worse than Ridge."),
    refuted=("差值 {value:.3f}，不如岭回归。", "The difference is {value:.3f}: worse than Ridge."),
    inconclusive=("差值 {value:.3f}，不足以判定。", "The difference {value:.3f} decides nothing."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H3", metric="r2", criterion=Criterion("gt", 0.5), anchor="tab-results", reported_as="mlp_head.test_r2", **study.r2_of(results, "mlp"),
    supported=("测试 R² 为 {value:.3f}。", "The test R² is {value:.3f}."), refuted=("测试 R² 只有 {value:.3f}。", "The test R² is only {value:.3f}."),
    inconclusive=("测试 R² {value:.3f} 的区间跨过阈值。", "The interval of the test R², {value:.3f}, crosses the threshold."),
)  # fmt: skip
figure = plots.predicted(study.prediction_frame(truth, ridge["test"], main.pred["test"]))
report.figure(
    "predicted",
    figure,
    "测试星上的预测与真值；点落在对角线上即预测准确，向均值收缩则两端偏离对角线。",
    "Prediction against truth on the test stars; points on the diagonal are exact, and shrinkage to the mean shows as a tilt at both ends.",
)

# %% [markdown] tags=["lang-zh"]
# ### 原文留空的单元

# %% [markdown] tags=["lang-en"]
# ### The cells that the document left blank

# %%
ridges, heads = study.blank_cells(config, runtime, prepared, found, cells, main)
both = study.cells_table(truth, ridges, heads, config.n_boot)
report.figure(
    "cells",
    plots.cells(both),
    "每个层与池化单元上的岭回归与预测头；两者的间距就是非线性带来的部分。",
    "Ridge and the head on every layer and pooling; the distance between the two is what nonlinearity adds.",
)
report.table("cells", both, "各单元的测试 R² 与收益。", "Test R² and gain by cell.", source=study.cells_table)

# %% [markdown] tags=["lang-zh"]
# ### 后续实验
# “端到端更优”只有解冻编码器的实验才能判定；原文在编码器冻结时就下了这个结论。

# %% [markdown] tags=["lang-en"]
# ### Follow-ups
# Only the arm with the unfrozen encoder can decide whether end to end is better; the document drew that conclusion with a frozen one.

# %% tags=["nbval-check-output"]
report.claim(
    "H4", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", **study.arm_gain(truth, others, "unfrozen", main, config.n_boot),
    supported=("解冻后 R² 再提高 {value:.3f}。", "Unfreezing raises R² by a further {value:.3f}."),
    refuted=("解冻后 R² 变化 {value:.3f}。", "Unfreezing changes R² by {value:.3f}."),
    inconclusive=("解冻带来的差值 {value:.3f} 的区间含零。", "The interval of what unfreezing changes, {value:.3f}, includes zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
repeated = study.repeats(config, runtime, prepared, ["mlp_2", "multitask"])
beyond = study.beyond_linear(truth, others, main, ridge["test"], config.n_boot)
report.claim(
    "H6", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", **beyond | {"rival": term(beyond.get("rival"))},
    supported=("比较好的线性模型（{rival}）高 {value:.3f}。", "It is {value:.3f} above the better linear model ({rival})."), refuted=("没有超过较好的线性模型（{rival}），差值 {value:.3f}。", "It does not beat the better linear model ({rival}); the difference is {value:.3f}."),
    inconclusive=("与较好的线性模型（{rival}）之差 {value:.3f} 的区间含零。", "The interval of the difference to the better linear model ({rival}), {value:.3f}, includes zero."),
)  # fmt: skip
report.claim(
    "H10", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", **study.repeated_gain(truth, repeated, "mlp_2", config.n_boot),
    supported=("R² 再提高 {value:.3f}。", "It raises R² by a further {value:.3f}."), refuted=("没有帮助：R² 变化 {value:.3f}。", "It does not help: R² changes by {value:.3f}."),
    inconclusive=("R² 变化 {value:.3f}，区间含零。", "R² changes by {value:.3f}; the interval includes zero."),
)  # fmt: skip

# %% tags=["nbval-check-output"]
report.claim(
    "H11", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", **study.repeated_gain(truth, repeated, "multitask", config.n_boot),
    supported=("log g 的 R² 提高 {value:.3f}。", "It raises R² of log g by {value:.3f}."), refuted=("没有帮助：log g 的 R² 变化 {value:.3f}。", "It does not help: R² of log g changes by {value:.3f}."),
    inconclusive=("log g 的 R² 变化 {value:.3f}，区间含零。", "R² of log g changes by {value:.3f}; the interval includes zero."),
)  # fmt: skip
report.claim(
    "H12", metric="gain", criterion=Criterion("gt", 0.0), anchor="fig-methods", **study.arm_gain(truth, others, "attention", main, config.n_boot),
    supported=("R² 提高 {value:.3f}。", "It raises R² by {value:.3f}."), refuted=("没有帮助：R² 变化 {value:.3f}。", "It does not help: R² changes by {value:.3f}."),
    inconclusive=("R² 变化 {value:.3f}，区间含零。", "R² changes by {value:.3f}; the interval includes zero."),
)  # fmt: skip

# %%
folds = study.folds(config, runtime, prepared)
if len(folds):
    report.table("folds", folds, "交叉验证：各折留出行与测试集上的 R²。", "Cross-validation: R² on each fold's held-out rows and on the test set.", source=study.folds)  # fmt: skip
report.claim(
    "H5", metric="half_width", criterion=Criterion("lt", 0.05), anchor="tab-folds" if len(folds) else "tab-results", **study.half_width(folds),
    supported=("半宽 {value:.3f}。", "The half width is {value:.3f}."), refuted=("半宽 {value:.3f}。", "The half width is {value:.3f}."),
    inconclusive=("半宽 {value:.3f}。", "The half width is {value:.3f}."),
)  # fmt: skip
report.text("本次运行未包含的后续实验：{arms}。", "Follow-ups that this run leaves out: {arms}.", arms=left_out)

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
report.text(
    "最好的验证结果出现在第 {best} 轮；首次超过岭回归是第 {past} 轮。原文报告的提升为 {percent}%，本次为 {mine}%（不同数据）。"
    "原文给出的岭回归验证 R²（{val}）等于另一份文档的训练 R²，可能标错；它的训练时长（{minutes} 分钟）也与每批 {batch} 秒的说法不符。",
    "The best validation comes at epoch {best}; Ridge is first passed at epoch {past}. The documents report a gain of {percent}%, this run "
    "has {mine}% (other data). The documents' validation R² of Ridge ({val}) equals a train R² of their other report and is probably "
    "mislabelled; their training time ({minutes} minutes) does not agree with {batch} seconds per batch.",
    best=study.best_epoch(main.history), past=study.first_past(main.history, ridge_val), percent=reported("mlp_head.gain_over_ridge_pct"),
    mine=study.gain_percent(results, "mlp"), val=reported("mlp_head.ridge.val_r2"), minutes=reported("mlp_head.minutes"),
    batch=reported("mlp_head.seconds_per_batch_256"),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 与岭回归的差距衡量的是特征中的非线性成分，而不是编码器的功劳：原始流量上的网络见潜表示研究的对照。

# %% [markdown] tags=["lang-en"]
# The distance to Ridge measures what is nonlinear in the features, not the merit of the encoder: for a network on the raw flux see the
# controls of the latents' study.

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
study.publish(config, report.model_dir, prepared, main, histories)
real = study.real_spectra(config, report.model_dir, runtime.device)
if config.real_path:
    report.text("实测光谱：{n_real} 条；预测 log g 的中位数 {median}，标准差 {sd}。", "Real spectra: {n_real}; median predicted log g {median}, standard deviation {sd}.", **real)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")
row = results[results.method == "mlp"].iloc[0]
report.fact("test_r2", row.test_r2, "测试 R²", "test R²", reported_as="mlp_head.test_r2")
report.fact("test_rmse", row.test_rmse, "测试 RMSE", "test RMSE", unit="dex", reported_as="mlp_head.test_rmse")
report.fact("test_mae", row.test_mae, "测试 MAE", "test MAE", unit="dex", reported_as="mlp_head.test_mae")
report.fact("test_mse", row.test_mse, "测试 MSE", "test MSE", unit="dex²", reported_as="mlp_head.test_mse")
report.fact("ridge_test_r2", results.test_r2.iloc[0], "岭回归测试 R²", "test R² of Ridge", reported_as="mlp_head.ridge.test_r2")

# %%
report.fact("best_epoch", study.best_epoch(main.history), "最佳轮次", "best epoch", reported_as="mlp_head.best_epoch")
report.fact("val_r2", main.history.val_r2.max(), "最佳验证 R²", "best validation R²", reported_as="mlp_head.val_r2")
report.fact(
    "gain_pct",
    study.gain_percent(results, "mlp"),
    "相对岭回归的提升",
    "gain over Ridge",
    unit="%",
    reported_as="mlp_head.gain_over_ridge_pct",
)
report.fact(
    "head_parameters", study.parameters(main), "预测头参数量", "parameters of the head", reported_as="mlp_head.head.parameters"
)

# %%
report.finish(
    answer=pair(
        "在同样的潜表示上，一个隐藏层的 MLP 测试 R² 为 {mlp:.3f}，岭回归为 {ridge:.3f}，差 {gain:.3f}（区间 {low:.3f} 到 {high:.3f}；{data}，噪声倍数 {level}）。",
        "On the same latents an MLP with one hidden layer has a test R² of {mlp:.3f}, Ridge {ridge:.3f}: a difference of {gain:.3f} (interval {low:.3f} to {high:.3f}; {data}, noise factor {level}).",
        mlp=row.test_r2, ridge=results.test_r2.iloc[0], gain=gain["value"], low=gain["low"], high=gain["high"], level=config.noise_level,
        data=report.data.get("label", report.data["name"]),
    ),
    short=pair("在同样的潜表示上，MLP 的测试 R² 为 {mlp:.3f}，岭回归为 {ridge:.3f}，差 {gain:.3f}（区间 {low:.3f} 到 {high:.3f}）。",
               "On the same latents an MLP has a test R² of {mlp:.3f}, Ridge {ridge:.3f}: a difference of {gain:.3f} (interval {low:.3f} to {high:.3f}).",
               mlp=row.test_r2, ridge=results.test_r2.iloc[0], gain=gain["value"], low=gain["low"], high=gain["high"]),
    provenance=rt.provenance(runtime), figure="history",
)  # fmt: skip

# %% [markdown] tags=["lang-zh", "explore"]
# ### 动手看
# 在 JupyterLab 中可以选择预测头或岭回归，查看残差怎样随真值变化，图随之更新；需要先安装可选依赖：`pip install -e ".[explore]"`。批量运行时这里只画第一种选择，发布的页面不含本节。

# %% [markdown] tags=["lang-en", "explore"]
# ### Explore
# In JupyterLab choose a head or Ridge and see how its residuals change with the truth, and the figure follows; this takes the optional extra: `pip install -e ".[explore]"`. A batch run draws
# the first choice only, and the published page leaves this section out.

# %% tags=["explore"]
explore(lambda method: viewers.residuals(truth, methods[method], "log g (dex)"), method=list(methods))
