"""What the page says of a whole run: its answer, its advice, its key numbers, and what these data leave unasked."""

from typing import Any

import pandas as pd
from scipy import stats

from lib.data.opamp_features import devices
from lib.evidence import Measured
from lib.steps.opamp.data import Prepared
from lib.studies.opamp_transfer.comparison import Outcome
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import GAIN, HARD
from lib.studies.opamp_transfer.tables import published_means, rows

REPORTED = ("slewrate_pos", "dc_gain", "ugf", "phase_margin", "cmrr")  # the documents report an R2 of these
DOCUMENT_LOGS = ("ugf", "cmrr")  # the metrics that the document takes the logarithm of
SKEWED = 2.0  # skewness from which a positive metric is better modelled as a logarithm
TELLING = 1e-3  # a difference in R2 below this is negligible, however certain its sign
Words = dict[str, str]  # {"zh": ..., "en": ...}


def left_out(prepared: Prepared, config: Config) -> tuple[str, str]:
    """Say what these data leave unasked, and what to set, as a list in Chinese and in English."""
    said = []
    if HARD not in prepared.targets:
        said.append((f"数据没有 {HARD}：页面中“除共模抑制比以外”的平均即全部指标的平均，误差最大的设计改按得分最低的指标来找。",
                     f"The data have no {HARD}: means “over all metrics but the cmrr” are means over all metrics, and hard designs "
                     "are looked for in the metric with the lowest score."))  # fmt: skip
    if config.resonant not in prepared.log_targets:
        said.append(("没有采用谐振头的指标（参数 `resonant` 要指向一个取对数的目标列），因此不比较这一方法。",
                     "No metric has a resonant head (the parameter `resonant` names a target that is modelled as a logarithm), so "
                     "that method is not compared."))  # fmt: skip
    if GAIN not in prepared.targets:
        said.append((f"数据没有 {GAIN}，关于增益起点的论断无法检验。",
                     f"The data have no {GAIN}: the claim about where the gain starts is not tested."))  # fmt: skip
    if not (devices(prepared.features) or {"ibias", "cc"} <= set(prepared.features)):
        said.append(("设计变量中没有 `w`、`l` 配对的列，物理特征只剩各变量的对数。",
                     "No columns form pairs `w`, `l`: the physics features are the logarithms of the design variables alone."))  # fmt: skip
    if names := skewed(prepared):
        said.append((f"指标 {names} 为正且偏度大，但没有取对数；如需取对数，把它们写进参数 `log_targets`。",
                     f"The metrics {names} are positive and skewed, yet not modelled as logarithms; name them in the parameter "
                     "`log_targets` to change that."))  # fmt: skip
    if not said:
        return "数据包含本研究要问的全部指标。", "The data hold every metric that the study asks about."
    return listed(said)


def listed(said: list[tuple[str, str]]) -> tuple[str, str]:
    """Return sentences in both languages as a list in each."""
    zh, en = ("\n".join(f"- {text}" for text in side) for side in zip(*said, strict=True))
    return zh, en


def skewed(prepared: Prepared) -> str:
    """Return the names, joined, of positive metrics with a long tail that are not modelled as logarithms."""
    both = pd.concat([prepared.source, prepared.target])
    plain = [n for n in prepared.targets if n not in prepared.log_targets and (both[n] > 0).all()]
    return ", ".join(n for n in plain if both[n].nunique() > 1 and stats.skew(both[n]) > SKEWED)


def disagreements(prepared: Prepared, below: Measured, beyond: Measured, verdicts: dict[str, str]) -> tuple[str, str]:
    """List what the document says and these data do not bear out, in Chinese and in English.

    below   share of target designs under the gain that the document starts process B at
    beyond  count of the example target's metrics outside the known range
    """
    said = []
    if verdicts["H3"] == "refuted":
        said.append((f"原文说工艺 B 的直流增益从一个明确的值起步；这里有 {below.value:.1%} 的设计低于它（H3）。",
                     f"It says that the dc gain of process B starts at a certain value; here {below.value:.1%} of the designs lie "
                     "below it (H3)."))  # fmt: skip
    if verdicts["I4"] == "refuted":
        n, names = int(beyond.value), beyond.facts["names"]
        said.append((f"原文逆向设计的示例目标有 {n} 个指标（{names}）落在全部已知设计之外，照它搜索只能得到折中。",
                     f"Its example target for inverse design has {n} metrics ({names}) outside the range of every known design: a "
                     "search for it can only find a compromise."))  # fmt: skip
    if more := [n for n in prepared.log_targets if n not in DOCUMENT_LOGS]:
        be = "are" if len(more) > 1 else "is"
        said.append((f"原文只对 {'、'.join(DOCUMENT_LOGS)} 取对数；这里还对 {'、'.join(more)} 取对数；是否值得，见偏度图与 H10。",
                     f"It takes the logarithm of {' and '.join(DOCUMENT_LOGS)} alone; here {', '.join(more)} {be} transformed too; "
                     "the figure of skewness and H10 tell whether that pays."))  # fmt: skip
    said.append(("原文强调标准化只能在 A 上拟合，否则看不到漂移；是否如此由 H9 检验，不当作前提。",
                 "It insists on scalers fitted on A alone, since otherwise the shift is hidden; H9 tests that instead of assuming "
                 "it."))  # fmt: skip
    return listed(said)


def key_facts(prepared: Prepared, scores: pd.DataFrame, best: Outcome) -> list[dict[str, Any]]:
    """Return the key numbers of the published model as arguments of `Report.fact`."""
    mean = published_means(scores, best)
    found = [("average_r2", mean.average, "发布模型在全部指标上的平均 R²", "average R² of the published model over all metrics"),
             ("first_r2", mean["first"], "除共模抑制比外的平均 R²", "mean R² over all outputs but the cmrr")]  # fmt: skip
    if HARD in prepared.log_targets:
        found.append(("cmrr_ln_r2", mean.cmrr_ln_r2, "共模抑制比的 ln-R²", "ln-R² of the cmrr"))
    for name, part in rows(scores, method=best.arm.method, domain=best.arm.domain).groupby("metric", sort=False):
        found.append((f"r2_{name}", part.r2.mean(), f"发布模型的 R²：{name}", f"R² of the published model: {name}"))
    found.append(("n_target", len(prepared.target), "可用的目标设计数", "usable target designs"))
    known = {f"r2_{m}": f"r2.{m}" for m in REPORTED} | {"average_r2": "average_r2"}
    said = {name: f"opamp_transfer.public.{path}" for name, path in known.items()}
    return [
        {"name": n, "value": v, "zh": zh, "en": en, "reported_as": said.get(n), "source": published_means}
        for n, v, zh, en in found
    ]


def helps(gain: Measured) -> Words:
    """Say whether a gain in R2 is one: its interval (or, without one, the value) lies above zero, below, or around it."""
    low, high = (gain.value if end is None else end for end in (gain.low, gain.high))
    if (low > 0 or high < 0) and abs(gain.value) < TELLING:
        return {"zh": "的影响可以忽略", "en": "makes a negligible difference"}
    if low > 0:
        return {"zh": "有帮助", "en": "helps"}
    return {"zh": "反而有害", "en": "does harm"} if high < 0 else {"zh": "看不出有差别", "en": "makes no detectable difference"}


def answer(
    serves: bool, worst: Measured, mean: pd.Series, method: Words, features: Measured, transfer: Measured, few: Measured
) -> Words:
    """Answer the study's question in a few sentences that follow the numbers of the run, in Chinese and in English.

    serves    whether a model of A alone serves B; worst  `worst_metric` of such models
    mean      averages of the published method, which is called `method`
    features  `physics_over_transfer`;  transfer, few  gaps to target-only methods with all and with few labels
    """
    which = {"zh": "除共模抑制比外", "en": "all metrics but the cmrr"}
    if pd.isna(mean.cmrr_r2):
        which = {"zh": "全部指标的", "en": "all metrics"}
    parts = [carried(serves, worst), reached(mean, method, which), worth(features, transfer)]
    parts += [] if few.value is None else [scarce(few, which)]
    return {"zh": "".join(p["zh"] for p in parts), "en": " ".join(p["en"] for p in parts)}


def short(serves: bool, worst: Measured, mean: pd.Series, transfer: Measured) -> Words:
    """Answer in a few words: whether a model of A alone serves B, what labels of B reach, what transfer adds; see `answer`."""
    verb, first, gain = helps(transfer), mean["first"], transfer.value
    can = {"zh": "可以" if serves else "不能", "en": "It carries" if serves else "It does not carry"}
    return {"zh": f"{can['zh']}照搬：只见过 A 的模型，在 B 上最差的指标 R² 为 {worst.value:.3g}。用上 B 的标注为 {first:.4f}；"
                  f"标注充足时，迁移{verb['zh']}（{gain:+.4f}）。",
            "en": f"{can['en']} over as it is: a model of A alone has R² {worst.value:.3g} on its worst metric of B. With labels of B "
                  f"the mean is {first:.4f}; with plenty, transfer {verb['en']} ({gain:+.4f})."}  # fmt: skip


def carried(serves: bool, worst: Measured) -> Words:
    """Say whether a model of A alone serves B."""
    name, best, best_r2 = (worst.facts[k] for k in ("name", "best", "best_r2"))
    if serves:
        return {"zh": f"可以照搬：只见过 A 的模型，在 B 上最差的指标 {name} 的 R² 仍有 {worst.value:.3f}。",
                "en": f"It carries over as it is: a model that has seen A alone still has an R² of {worst.value:.3f} on {name}, its "
                      "worst metric of B."}  # fmt: skip
    return {"zh": f"不能照搬：只见过 A 的模型，在 B 上最差的指标 {name} 的 R² 只有 {worst.value:.3g}，最好的 {best} 为 {best_r2:.3g}。",
            "en": f"It does not carry over as it is: of the metrics of B, a model that has seen A alone is worst on {name}, with an "
                  f"R² of {worst.value:.3g}, and best on {best}, with {best_r2:.3g}."}  # fmt: skip


def reached(mean: pd.Series, method: Words, which: Words) -> Words:
    """Say what the published method reaches with all labels."""
    first, ln = mean["first"], mean.cmrr_ln_r2
    zh, en = ("", "") if pd.isna(ln) else (f"，共模抑制比的 ln-R² 为 {ln:.3f}", f", and an ln-R² of {ln:.3f} on the cmrr")
    return {"zh": f"用上目标标注后，内部验证选出的“{method['zh']}”{which['zh']}平均 R² 为 {first:.4f}{zh}。",
            "en": f"With the labels of B, the method chosen by inner validation ({method['en']}) reaches a mean R² of {first:.4f} over "
                  f"{which['en']}{en}."}  # fmt: skip


def worth(features: Measured, transfer: Measured) -> Words:
    """Say what features and transfer are worth with all labels."""
    physics, moved, verb = features.facts["physics"], transfer.value, helps(transfer)
    rise = {"zh": "提高", "en": "raise"} if physics >= 0 else {"zh": "降低", "en": "lower"}
    return {"zh": f"标注充足时，换成物理特征使平均 R² {rise['zh']} {abs(physics):.3f}，在此之上，迁移{verb['zh']}（{moved:+.4f}）。",
            "en": f"With plenty of labels, physics features {rise['en']} the mean R² by {abs(physics):.3f}, and on top of them "
                  f"transfer {verb['en']} ({moved:+.4f})."}  # fmt: skip


def scarce(few: Measured, which: Words) -> Words:
    """Say what transfer is worth with few labels."""
    n, verb = few.facts["labels"], helps(few)
    return {"zh": f"只有 {n} 个标注时，与只用目标标注的最好方法相比，迁移{verb['zh']}：{which['zh']}平均 R² 相差 {few.value:+.3f}。",
            "en": f"With {n} labels, against the best target-only method, transfer {verb['en']}: the mean R² over {which['en']} "
                  f"changes by {few.value:+.3f}."}  # fmt: skip


def advice(budgets: pd.DataFrame, transfer: Measured, until: int) -> tuple[str, str]:
    """Say up to how many labels transfer pays, from the largest budget at which its whole interval lies above zero."""
    most, value, verb = int(budgets.labels.max()), transfer.value, helps(transfer)
    first = (f"在试过的预算（至多 {most} 个标注）里，没有一个能确认迁移有优势。",
             f"At none of the budgets tried (up to {most} labels) is the advantage of transfer certain. ")  # fmt: skip
    if until:
        first = (f"能确认迁移有优势的最大预算是 {until} 个标注（试到 {most} 个）。",
                 f"The largest budget at which the advantage of transfer is certain is {until} labels (of up to {most} tried). ")  # fmt: skip
    return (first[0] + f"用上全部标注时，与只用目标标注的最好方法相比，迁移{verb['zh']}（{value:+.4f}）。",
            first[1] + f"With all labels transfer, set against the best target-only method, {verb['en']} ({value:+.4f}).")  # fmt: skip
