"""The arms of the ablations: what each changes from Run 1, one factor but for run_2 (the document's second run) and minmax_l1."""

from lib.arms import Arm, table

ABLATION = "ablation"

ARMS = table(
    [
        Arm("run_1", ABLATION),
        Arm("run_2", ABLATION, {"tokenizer": "SW", "loss": "l1", "label_norm": "minmax"}),
        Arm("tokenizer_sw", ABLATION, {"tokenizer": "SW"}),
        Arm("loss_l1", ABLATION, {"loss": "l1"}),
        Arm("norm_minmax", ABLATION, {"label_norm": "minmax"}),
        Arm("minmax_l1", ABLATION, {"loss": "l1", "label_norm": "minmax"}),
        Arm("loss_huber", ABLATION, {"loss": "huber"}),
        Arm("loss_heteroscedastic_mse", ABLATION, {"loss": "heteroscedastic_mse"}),
        Arm("loss_heteroscedastic_l1", ABLATION, {"loss": "heteroscedastic_l1"}),
        Arm("sigma_head", ABLATION, {"loss": "gaussian_nll"}),
        Arm("position_rope", ABLATION, {"pos_encoding": "rope"}),
        Arm("position_none", ABLATION, {"pos_encoding": "none"}),
        Arm("pooling_cls", ABLATION, {"pooling": "cls"}),
        Arm("pooling_mean", ABLATION, {"pooling": "mean"}),
        Arm("pooling_attention", ABLATION, {"pooling": "attention"}),
        Arm("init_trunc02", ABLATION, {"init": "trunc02"}),
        Arm("init_reference", ABLATION, {"init": "reference"}),
        Arm("input_raw", ABLATION, {"input_scaling": "none"}),
        Arm("rate_constant", ABLATION, {"schedule": "constant"}),
        Arm("clip_off", ABLATION, {"clip": 0.0}),
        Arm("depth_half", ABLATION, {"depth_factor": 0.5}),
        Arm("depth_double", ABLATION, {"depth_factor": 2.0}),
        Arm("width_half", ABLATION, {"width_factor": 0.5}),
        Arm("width_double", ABLATION, {"width_factor": 2.0}),
        Arm("stride_half", ABLATION, {"stride_factor": 0.5}),
        Arm("precision_fp32", ABLATION, {"precision": "32-true"}),
        Arm("precision_bf16", ABLATION, {"precision": "bf16-mixed"}),
        Arm("precision_fp16", ABLATION, {"precision": "16-mixed"}),
    ]
)
