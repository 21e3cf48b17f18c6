"""Flags are made from the config classes: the words `off` and `auto` stand for None."""

import dataclasses

import pytest

from minivit import ViTConfig
from minivit.cli import main
from minivit.cli.parser import make_parser
from minivit.train import TrainConfig

CONFIGS = (TrainConfig, ViTConfig)
OPTIONAL = [
    (field.name, field.metadata["none"])
    for config in CONFIGS
    for field in dataclasses.fields(config)
    if "None" in str(field.type)
    and field.type not in ("bool | None", bool | None, "str | None", str | None)
    and not field.metadata["from_data"]
]


def parsed(*flags):
    return vars(make_parser().parse_args(["train", *flags]))


def test_which_settings_can_be_off_or_automatic():
    assert dict(OPTIONAL) == {
        "epochs": "auto", "validation": "auto", "save_every": "auto", "log_every": "auto", "threads": "auto",
        "clip_norm": "off", "ema": "off", "augment": "off", "elastic": "off", "erasing": "off",
        "mixup": "off", "cutmix": "off", "tta": "off", "head_hidden": "off", "layer_scale": "off",
        "freeze": "off", "layer_decay": "off", "patience": "off", "muon": "off", "minutes": "off",
    }  # fmt: skip


@pytest.mark.parametrize("name, word", OPTIONAL)
def test_the_word_stands_for_none(name, word, capsys):
    flag = "--" + name.replace("_", "-")
    assert parsed(flag, word)[name] is None
    assert parsed(flag, "1")[name] == 1
    words = {"freeze": ["all"], "augment": ["auto"]}.get(name, [])
    for wrong in [{"off": "auto", "auto": "off"}[word], "many"]:
        if wrong in words:
            continue
        with pytest.raises(SystemExit) as caught:
            parsed(flag, wrong)
        assert caught.value.code == 2
        listed = ", ".join(["a number", *words])
        assert f"argument {flag}: must be {listed} or the word {word}, not {wrong!r}" in capsys.readouterr().err


def test_a_choice_or_the_word_that_stands_for_none(capsys):
    assert parsed("--augmentation", "photos")["augmentation"] == "photos"
    assert parsed("--augmentation", "auto")["augmentation"] is None
    assert parsed("--no-mirror")["mirror"] is False
    with pytest.raises(SystemExit):
        parsed("--augmentation", "letters")
    error = "argument --augmentation: must be digits, photos, none or the word auto, not 'letters'"
    assert error in capsys.readouterr().err


def test_flags_that_are_not_given_set_nothing():
    names = {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert not names & parsed().keys()


def test_an_unknown_argument_shows_the_usage_of_its_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["predict", "run", "a.png", "--unheard", "of"])
    errors = capsys.readouterr().err
    assert caught.value.code == 2 and errors.startswith("usage: minivit predict ")
    assert errors.endswith("minivit predict: error: unrecognized arguments: --unheard of\n")


def test_the_help_says_which_patches_are_chosen(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    rule = "that of --init; else the longest that divides the images into 49 patches or more, and 7 where they are grey"
    assert f"side of a patch in pixels; must divide the image's height and width (default: {rule} and 28 x 28)" in words
