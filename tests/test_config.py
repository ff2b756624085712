"""Parameters: every mistake is one sentence that says what, where and what would be right."""

import pytest

from lib.config import StudyConfig, param


class Example(StudyConfig):
    study = "example"
    lr: float = param(1e-3, "learning rate", "学习率", gt=0, le=1)
    epochs: int = param(3, "epochs", "轮数", ge=1)
    configs: list[str] = param(["a"], "configurations", "配置")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epohcs": 3}, "Unknown parameter 'epohcs': did you mean 'epochs'?"),
        ({"zzz": 3}, "Unknown parameter 'zzz': the known ones are profile, seed"),
        ({"lr": "1e-3"}, "Parameter 'lr' is the text '1e-3', not a number: YAML reads 1e-3 as text, write 1.0e-3."),
        ({"lr": "fast"}, "Parameter 'lr' is 'fast', but it should be a valid number."),
        ({"lr": -1.0}, "Parameter 'lr' is -1.0, but it should be greater than 0."),
        ({"lr": float("nan")}, "Parameter 'lr' is nan, but it should be"),
        ({"epochs": 2.5}, "Parameter 'epochs' is 2.5, but it should be a valid integer."),
        ({"epochs": True}, "Parameter 'epochs' is True, but it should be a valid integer."),
        ({"device": "gpu"}, "Parameter 'device' is 'gpu', but it should match pattern"),
        ({"profile": "fast"}, "Parameter 'profile' is 'fast', but it should be 'smoke', 'quick' or 'full'."),
        ({"configs": [1]}, "Parameter 'configs.0' is 1, but it should be a valid string."),
    ],
)
def test_a_bad_parameter_is_one_sentence(values, sentence):
    with pytest.raises(ValueError) as caught:
        Example.checked(values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_given_on_the_command_line_is_read_as_a_list():
    assert Example.checked({"configs": "['x', 'y']"}).configs == ["x", "y"]


def test_only_the_parameters_cell_and_the_injected_cell_count_in_a_notebook():
    cells = ["", "profile = 'smoke'\nlr = 0.1", "# Parameters\nepochs = 5\nseed = 4\n", "import os; scratch = 1"]
    config = Example.from_notebook({"In": cells, "profile": "smoke", "lr": 0.1, "epochs": 5, "seed": 4, "scratch": 1})
    assert (config.lr, config.epochs, config.seed) == (0.1, 5, 4)


def test_an_unknown_injected_parameter_is_refused():
    cells = ["profile = 'smoke'", "# Parameters\nepohcs = 5\n"]
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        Example.from_notebook({"In": cells, "profile": "smoke", "epohcs": 5})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lr: !!python/object/apply:os.system ['true']", "is not plain YAML"),
        ("- 1\n- 2", "must hold `name: value` lines, not list"),
        ("lr: [", "is not plain YAML"),
        ("", "must hold `name: value` lines, not NoneType"),
    ],
)
def test_a_bad_params_file_is_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "p.yaml"
    file.write_text(text, encoding="utf8")
    with pytest.raises(ValueError, match=sentence):
        Example.load(file)
    with pytest.raises(ValueError, match="does not exist"):
        Example.load(tmp_path / "none.yaml")


def test_the_table_shows_every_parameter_with_its_meaning_in_both_languages():
    table = Example().table()
    assert set(Example.model_fields) == set(table.parameter)
    assert all(m["zh"] and m["en"] for m in table.meaning)
