"""What the page concludes: templates in both languages, chosen by verdicts; `numbers` and the notebook fill them in."""

from lib.studies.noise2noise.cost import share_of_weights

OPENING = {"supported": ("会。", "It does."), "refuted": ("本次运行没有看到泄漏。", "Not in this run.")}
UNSURE = ("本次运行无法判定。", "This run cannot tell.")
LEAKS = (
    "跨域解码若用目标图像自己的跳跃连接（`original`），泄漏斜率为 {leak}（一为照抄噪声，零为无泄漏）；"
    "不用跳跃连接时，残差与目标噪声的相关为 {corr}，改用潜表示来源图像的跳跃连接时为 {other}。",
    "With the target's own skips in the cross path (`original`) the leak is {leak} (one: a copy of the noise, zero: none). "
    "Without skips the residual correlates with the target's noise by {corr}, with skips of the latent's image by {other}.",
)
WINNER = (
    "训练损失最低的是 `{winner}`：PSNR 变化 {gain} dB，泄漏斜率 {winner_leak}。",
    "The training loss of `{winner}` is the lowest: its PSNR changes by {gain} dB, at a leak of {winner_leak}.",
)
BEST = (
    "最好的跨域输出（`{name}`）PSNR 为 {psnr:.2f} dB，保留 {detail:.0%} 的细节；含噪图像 {noisy:.2f} dB，"
    "经典方法 {method} {classical:.2f} dB，保留 {kept:.0%}。",
    "The best cross output (`{name}`) has {psnr:.2f} dB and keeps {detail:.0%} of the detail; the noisy image has {noisy:.2f} "
    "dB, the classical method {method} {classical:.2f} dB, keeping {kept:.0%}.",
)
SCALE = (
    "规模：{n} 个配置各 {seeds} 个随机种子，{slices} 张训练切片，{epochs} 轮，网络权重是 `full` 运行档的 {share:.2%}。",
    "Scale: {n} configurations with {seeds} seed(s) each, {slices} training slices, {epochs} epochs, {share:.2%} of the `full` "
    "profile's weights.",
)
SHORT = (
    "用目标图像自己的跳跃连接，泄漏斜率为 {leak}；不用跳跃连接，残差与目标噪声的相关为 {corr}。"
    "最好的跨域输出 {psnr:.2f} dB，经典方法 {classical:.2f} dB。",
    "With the target's own skips the leak is {leak}; without skips the residual correlates with the target's noise by {corr}. "
    "The best cross output has {psnr:.2f} dB, the classical method {classical:.2f} dB.",
)
SKIPS = {"zh": "先确认跳跃连接的来源，再谈损失权重。", "en": "Settle whose skips enter the decoder before tuning any weight."}
LOSS = {"zh": "用噪声下限和泄漏斜率验收，不要只看损失。", "en": "Accept a model by noise floor and leak, not by its loss."}


def answer(verdicts):
    """Return the templates of the answer and of its short form, opened by the verdict on H1."""
    opening = OPENING.get(verdicts["H1"], UNSURE)
    return tuple(
        {"zh": "".join(zh for zh, _ in parts), "en": " ".join(en for _, en in parts)}
        for parts in ((opening, LEAKS, WINNER, BEST, SCALE), (opening, SHORT))
    )


def advice(verdicts):
    """Return the implications that the verdicts bear out."""
    return [SKIPS] * (verdicts["H1"] == "supported") + [LOSS] * (verdicts["H14"] == "refuted")


def numbers(config, data, costs, compared):
    """Return what the answer says of the best outputs and of the scale of the run."""
    top, classical = (compared[compared.path == path].sort_values("psnr_db").iloc[-1] for path in ("cross", "single"))
    return {
        "name": top.method, "psnr": top.psnr_db, "detail": top.detail, "noisy": compared.psnr_db.iloc[0],
        "method": classical.method, "classical": classical.psnr_db, "kept": classical.detail,
        "n": len(config.configs), "seeds": config.n_seeds, "slices": len(data.parts["train"]),
        "epochs": "–".join(str(n) for n in sorted({costs.epochs.min(), costs.epochs.max()})), "share": share_of_weights(config),
    }  # fmt: skip
