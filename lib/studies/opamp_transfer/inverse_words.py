"""What the page says of the search in words: what it runs on, and what rounds of simulation bring."""

import pandas as pd

from lib.studies.opamp_transfer.config import Config


def surrogate_says(config: Config) -> dict[str, str]:
    """Say what the search moves designs on, in Chinese and English."""
    return {
        "target": {"zh": "搜索在只用目标标注训练的正向集成上进行。", "en": "The search runs on the forward ensemble, trained on target labels alone."},
        "transfer": {"zh": "搜索在先用源工艺训练、再用目标标注训练的正向集成上进行。",
                     "en": "The search runs on the forward ensemble, trained on the source process first and then on target labels."},
        "published": {"zh": "搜索在 `predict` 所用的模型上进行，为此只用这些目标设计重新拟合；它由哪些方法组成，是先前在全部训练行上选定的。",
                      "en": "The search runs on the model that `predict` uses, refitted on these target designs alone; which methods it consists of was chosen earlier, on all training rows."},
    }[config.inverse_surrogate]  # fmt: skip


def model_says(results: pd.DataFrame, within: float = 0.05) -> tuple[str, str]:
    """Say how much of what the search misses is the forward model's error, in Chinese and English; `results` as in `Inverted`."""
    part = results[results.method == "search"]
    promised, kept = ((part.groupby("specification")[k].max() <= within).mean() for k in ("promised_miss", "miss"))
    error = ((part.predicted - part.judged) / part.judged).abs().groupby(part.metric).median()
    name, worst = error.idxmax(), error.max()
    return (
        f"按正向模型自己的预测，搜到的设计满足了 {promised:.0%} 的要求，评判认可的是 {kept:.0%}。两者之差来自正向模型与评判者的误差；"
        f"在搜到的设计上，预测与评判相差最大的是 {name}：相对误差的中位数为 {worst:.1%}。",
        f"By the forward model's own prediction the designs found meet {promised:.0%} of the specifications; the judge grants {kept:.0%}. "
        f"What lies between is error of the model and of the judge; at these designs they differ most on {name}: by {worst:.1%} in the median, relative.",
    )


def rounds_say(rounds: pd.DataFrame | None) -> tuple[str, str]:
    """Say what simulation and correction bring, or why there are none, in Chinese and English."""
    if rounds is None:
        return (
            "没有产生这些数据的仿真器可用，或者参数 `inverse_rounds` 为零，因此不做“仿真—修正”。",
            "The simulator that made these data is not at hand, or `inverse_rounds` is zero: there are no rounds of simulation and correction.",
        )
    first, last = rounds.iloc[0], rounds.iloc[-1]
    n = int(last.simulations)
    return (
        f"把仿真器放进回路：测量搜到的设计，用“预测/测量”之比修正要求，再从这些设计出发搜索。每个要求共 {n} 次仿真，"
        f"满足的比例从 {first.met_share:.0%} 变为 {last.met_share:.0%}，最大相对偏差的中位数从 {first.median_worst_miss:.2%} 变为 {last.median_worst_miss:.2%}。",
        f"The simulator in the loop: the designs found are measured, the goals corrected by predicted over measured, and the search goes "
        f"on from there. With {n} simulations for each specification the share met goes from {first.met_share:.0%} to {last.met_share:.0%}, "
        f"the median of the worst relative miss from {first.median_worst_miss:.2%} to {last.median_worst_miss:.2%}.",
    )
