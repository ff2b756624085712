# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["lang-zh"]
# # 运放性能模型能否从工艺 A 迁移到工艺 B？

# %% [markdown] tags=["lang-en"]
# # Does an op-amp performance model carry over from process A to process B?

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
opamp = "5t_opamp"
targets = []
log_targets = ["slewrate_pos", "dc_gain", "ugf", "cmrr"]
val_split = 0.2
inner_split = 0.15
splits = 2
ridge_alpha = 1.0
trees = 30
hidden = 32
layers = 2
dropout = 0.0
lr = 0.003
weight_decay = 0.0001
batch_size = 256
epochs = 3
patience = 10
clip = 1.0

# %%
from lib import runtime as rt
from lib.plots import opamp as plots
from lib.report import Criterion, Report, pair
from lib.studies import opamp_transfer as study

config = study.Config.from_notebook(globals())
runtime = rt.start(config)

# %%
report = Report(
    config,
    title=pair("运放性能模型的跨工艺迁移", "Transferring an op-amp performance model across processes"),
    question=pair(
        "在源工艺 A 上训练的性能模型，用到目标工艺 B 上还剩多少？少量目标标注能做到什么程度？",
        "How much of a performance model trained on process A survives on process B, and how far do a few target labels go?",
    ),
    header={"experiment_id": "EDA-opamp-transfer-01", "author": "—", "date": "—", "project": "opamp", "topic": "transfer",
            "mvp": "EDA + baselines", "model_version": "Ridge, LightGBM, MLP"},
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 1 目标
# 同一张模拟电路网表在两个工艺节点上仿真，器件尺寸取自同一个设计空间，得到的性能却不同。源工艺 A 的数据便宜而充足，
# 目标工艺 B 的标注昂贵而稀少。本研究先看清两个工艺之间究竟变了什么，再看三个简单模型在 B 上能做到什么程度，作为后面各种迁移方法的基线。

# %% [markdown] tags=["lang-en"]
# ## 1 Goal
# One analog netlist is simulated on two process nodes. The device sizes come from the same design space, yet the performance
# differs. Data of the source process A are cheap and plentiful, labels of the target process B are dear and few. This study first
# looks at what changes between the processes, then at how far three simple models get on B: the baselines of every transfer method.

# %%
report.hypothesis("H1", "两个工艺的输入分布对齐：任一设计变量的 KS 距离都不超过 {limit}。",
                  "The inputs of the two processes are aligned: no design variable has a KS distance above {limit}.", limit=0.1)  # fmt: skip
report.hypothesis("H2", "输出存在明显的工艺漂移：至少一个指标的 KS 距离达到 {limit}。",
                  "The outputs shift strongly: at least one metric has a KS distance of {limit} or more.", limit=0.5)  # fmt: skip
report.hypothesis("H3", "工艺 B 的直流增益从 {start} 起步：低于它的设计不超过 {share:.0%}。",
                  "The dc gain of process B starts at {start}: at most {share:.0%} of the designs lie below.", start=150, share=0.01)  # fmt: skip

# %%
report.hypothesis("H4", "只在 A 上训练的最好的基线，不加改动就能预测 B 的每个指标（最差指标的 R² 不低于 {limit}）。",
                  "The best baseline trained on A alone predicts every metric of B as it is (worst R² of {limit} or more).", limit=0.9)  # fmt: skip
report.hypothesis("H5", "只用 B 的训练行，最好的基线在除共模抑制比以外的指标上平均 R² 达到 {limit}。",
                  "With training rows of B alone the best baseline reaches a mean R² of {limit} over all metrics but the cmrr.", limit=0.9)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 2 设计
# 数据按竞赛的 CSV 布局读入。仿真失败的设计按明确的规则剔除：直流增益小于一，或者单位增益频率等于仿真器在失败时写入的值，
# 或者要取对数的指标不为正。尺寸完全相同的设计在划分时总在同一侧。

# %% [markdown] tags=["lang-en"]
# ## 2 Design
# Data are read from the competition's CSV layout. Failed simulations are dropped by a stated rule: a dc gain below one, a unity-gain
# frequency at the value that the simulator writes on failure, or a non-positive value of a metric that is modelled as a logarithm.
# Designs with equal sizes always stay on one side of a split.

# %%
prepared = study.prepare(config)
report.describe_data(
    source=prepared.origin, name=prepared.title, fingerprint=prepared.fingerprint,
    n_train=len(prepared.source), n_dropped=len(prepared.dropped), n_target=len(prepared.target),
)  # fmt: skip
report.table("cleaning", study.cleaning(prepared), "读入、剔除与重复的设计。", "Designs read, dropped and repeated.",
             source=study.cleaning)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 长尾指标先取 $\ln(1+y)$，再标准化。标准化的均值和标准差只由源工艺的训练行确定，两个工艺共用；
# 这样工艺漂移会以非零均值的形式保留下来，成为模型要学的信号：
# $$z = \frac{\ln(1+y) - \mu_A}{\sigma_A}$$

# %% [markdown] tags=["lang-en"]
# Heavy-tailed metrics are taken as $\ln(1+y)$ and then standardised. Mean and standard deviation come from training rows of the
# source process alone and serve both processes, so that the shift stays visible as a mean that is not zero:
# $$z = \frac{\ln(1+y) - \mu_A}{\sigma_A}$$

# %% [markdown] tags=["lang-zh"]
# ## 3 结果
# ### 输入是否对齐

# %% [markdown] tags=["lang-en"]
# ## 3 Results
# ### Are the inputs aligned?

# %%
alignment = study.alignment(prepared)
figure = plots.distributions(prepared.source, prepared.target, prepared.features)
report.figure("inputs", figure, "两个工艺的设计变量分布。", "Distributions of the design variables of both processes.")
report.table("alignment", alignment, "输入的对齐程度。", "How well the inputs are aligned.", source=study.alignment)

# %%
report.claim(
    "H1", metric="ks", value=alignment.ks.max(), criterion=Criterion("lt", 0.1), anchor="tab-alignment",
    supported=("输入分布对齐，最大的 KS 距离为 {value:.3f}。", "The inputs are aligned; the largest KS distance is {value:.3f}."),
    refuted=("输入分布并不对齐，最大的 KS 距离为 {value:.3f}。", "The inputs are not aligned; the largest KS distance is {value:.3f}."),
    inconclusive=("KS 距离 {value:.3f} 不足以下结论。", "A KS distance of {value:.3f} decides nothing."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 输出漂移了多少

# %% [markdown] tags=["lang-en"]
# ### How far do the outputs shift?

# %%
shift = study.shift(prepared)
figure = plots.distributions(prepared.source, prepared.target, prepared.targets, log=prepared.log_targets)
report.figure("outputs", figure, "两个工艺的性能指标分布（长尾指标用对数轴）。",
              "Distributions of the metrics of both processes (logarithmic axes for heavy tails).")  # fmt: skip
report.table("shift", shift, "输出的漂移。", "The shift of the outputs.", source=study.shift)

# %%
largest = shift.loc[shift.ks.idxmax()]
report.claim(
    "H2", metric="ks", value=largest.ks, criterion=Criterion("gt", 0.5), anchor="fig-outputs", name=largest.metric,
    supported=("漂移最大的是 {name}，KS 距离 {value:.3f}。", "{name} shifts most, with a KS distance of {value:.3f}."),
    refuted=("漂移最大的 {name} 也只有 {value:.3f}。", "Even {name}, which shifts most, has only {value:.3f}."),
    inconclusive=("{name} 的 KS 距离 {value:.3f} 不足以下结论。", "{value:.3f} for {name} decides nothing."),
)  # fmt: skip

# %%
below = study.share_below(prepared, "dc_gain", 150)
report.claim(
    "H3", metric="share", **below, criterion=Criterion("lt", 0.01), anchor="fig-outputs",
    reported_as="opamp_transfer.document.gain_b_from", lowest=study.lowest(prepared, "dc_gain"),
    supported=("只有 {value:.1%} 的设计低于该值，最小增益为 {lowest:.3g}。", "Only {value:.1%} of the designs lie below; the smallest gain is {lowest:.3g}."),
    refuted=("有 {value:.1%} 的设计低于该值，最小增益仅 {lowest:.3g}。", "{value:.1%} of the designs lie below; the smallest gain is {lowest:.3g}."),
    inconclusive=("低于该值的设计占 {value:.1%}（最小增益 {lowest:.3g}），样本不足以判定。",
                  "{value:.1%} of the designs lie below (smallest gain {lowest:.3g}); too few to tell."),
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ### 长尾与对数变换

# %% [markdown] tags=["lang-en"]
# ### Heavy tails and the logarithm

# %%
skewness = study.skewness(prepared)
report.figure("skew", plots.skew(skewness), "取对数前后的偏度。", "Skewness before and after the logarithm.")
report.table("skewness", skewness, "源工艺输出的偏度。", "Skewness of the source outputs.", source=study.skewness)

# %% [markdown] tags=["lang-zh"]
# ### 三个基线
# 每个划分种子都留出一部分目标设计，只用于评分；早停和模型选择只看训练行里再分出的内部验证集，评分用的行从不参与选择。

# %% [markdown] tags=["lang-en"]
# ### Three baselines
# Every split seed holds out target designs that serve for scoring only. Early stopping and the choice of a model look at an inner
# validation part of the training rows; rows that are scored never take part in a choice.

# %%
scores, predictions = study.evaluate(config, prepared, runtime)
table = study.score_table(scores)
figure = plots.scores(table)
report.figure("scores", figure, "目标工艺留出设计上的 R²（{n} 个划分种子的均值与区间）；低于坐标下限的值标在底部。",
              "R² on held-out target designs (mean and interval of {n} split seeds); values below the axis are written at its foot.",
              n=config.splits)  # fmt: skip

# %%
report.table("scores", table, "各方法在目标工艺上的得分（物理单位）。", "Scores on the target process, in physical units.",
             source=study.evaluate)  # fmt: skip

# %%
source_worst = study.worst_metric(scores, "source_only")
report.claim(
    "H4", metric="r2", value=source_worst["value"], criterion=Criterion("gt", 0.9), anchor="tab-scores",
    low=source_worst["low"], high=source_worst["high"], method=source_worst["method"], name=source_worst["metric"],
    supported=("只在 A 上训练的 {method} 在最差的指标 {name} 上仍有 R² {value:.3g}。", "{method}, trained on A alone, keeps R² {value:.3g} on its worst metric, {name}."),
    refuted=("不能照搬：只在 A 上训练的 {method} 在 {name} 上的 R² 为 {value:.3g}。", "It does not carry over: {method}, trained on A alone, has R² {value:.3g} on {name}."),
    inconclusive=("{method} 在 {name} 上的 R² 为 {value:.3g}，区间跨过阈值。", "{method} has R² {value:.3g} on {name}; its interval crosses the threshold."),
)  # fmt: skip

# %%
best = study.best_target_only(scores)
report.claim(
    "H5", metric="r2", value=best["value"], low=best["low"], high=best["high"], criterion=Criterion("gt", 0.9),
    anchor="tab-scores", method=best["method"],
    supported=("{method} 的平均 R² 为 {value:.4f}。", "{method} reaches a mean R² of {value:.4f}."),
    refuted=("最好的 {method} 也只有 {value:.4f}。", "Even the best, {method}, has only {value:.4f}."),
    inconclusive=("{method} 的平均 R² 为 {value:.4f}，区间跨过阈值。", "{method} has a mean R² of {value:.4f}; its interval crosses the threshold."),
)  # fmt: skip

# %%
chosen = study.publish_best(config, prepared, runtime, scores, report.model_dir)
shown = predictions[(predictions.method == chosen) & (predictions.domain == "target_only") & (predictions.seed == 0)]
figure = plots.predicted(shown, prepared.targets, prepared.log_targets)
report.figure("predicted", figure, "内部验证选出的模型 {method}：留出设计上的预测与真值。",
              "The model chosen by inner validation, {method}: prediction against truth on held-out designs.", method=chosen)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# ## 4 洞见

# %% [markdown] tags=["lang-en"]
# ## 4 Insights

# %%
report.text(
    "两个工艺的差别不在输入，而在输入到输出的映射：中位数之比（B/A）偏离一最远的是 {name}，为 {ratio:.2f}。"
    "只在 A 上训练、最差指标表现最好的 {method}，在 {metric} 上的 R² 为 {value:.3g}。",
    "The processes differ not in their inputs but in the map from input to output: the median of {name} changes most, by a factor "
    "of {ratio:.2f} (B/A). {method}, the best of the models trained on A alone, has an R² of {value:.3g} on {metric}.",
    **study.strongest_shift(shift), method=source_worst["method"], metric=source_worst["metric"], value=source_worst["value"],
)  # fmt: skip

# %% [markdown] tags=["lang-zh"]
# 长尾指标的 R² 由少数几个设计决定，在划分之间摇摆，单次划分说明不了问题；因此表中对取对数的指标同时给出 ln-R²，区间来自多个划分种子。

# %% [markdown] tags=["lang-en"]
# A few designs decide the R² of a heavy-tailed metric, so that it swings between splits and one split proves nothing. The table gives the
# ln-R² beside it wherever a logarithm is modelled, and intervals over several split seeds.

# %% [markdown] tags=["lang-zh"]
# ## 5 结论与下一步
# 基线只说明问题有多难。下一步是真正的迁移方法：微调、协方差对齐、双头分阶段微调、把源模型的预测当作特征，以及逆向设计。

# %% [markdown] tags=["lang-en"]
# ## 5 Conclusions and next steps
# Baselines only tell how hard the problem is. Next come the transfer methods proper: fine-tuning, covariance alignment, staged
# fine-tuning with two heads, source predictions as features, and inverse design.

# %% [markdown] tags=["lang-zh"]
# ## 6 附录

# %% [markdown] tags=["lang-en"]
# ## 6 Appendix

# %%
report.table("params", config.table(), "本次运行的参数。", "Parameters of this run.")
average = study.published_average(scores, chosen)
report.fact("average_r2", average.pop("all"), "发布模型在全部指标上的平均 R²", "average R² of the published model over all metrics",
            reported_as="opamp_transfer.public.average_r2")  # fmt: skip
for name, value in average.items():
    report.fact(
        f"r2_{name}",
        value,
        f"发布模型的 R²：{name}",
        f"R² of the published model: {name}",
        reported_as=study.reported_path(name),
    )
report.fact("n_target", len(prepared.target), "可用的目标设计数", "usable target designs")

# %%
report.finish(
    answer=pair(
        "只在 A 上训练的模型在 B 上最差的指标是 {metric}（R² {worst:.3g}）；用 B 自己的训练行，{method} 在除共模抑制比以外的指标上平均 R² 为 {best:.4f}（可用目标设计 {n} 个）。",
        "A model trained on A alone has R² {worst:.3g} on its worst metric of B, {metric}; trained on rows of B itself, {method} reaches a mean R² of {best:.4f} over all metrics but the cmrr ({n} usable target designs).",
        metric=source_worst["metric"], worst=source_worst["value"], n=len(prepared.target), method=best["method"], best=best["value"],
    ),
    provenance=rt.provenance(runtime), figure="scores",
)  # fmt: skip
