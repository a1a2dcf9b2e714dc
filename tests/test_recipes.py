"""Every recipe trains two steps, one of each kind with each head, and says what to expect."""

import json
import re
from collections.abc import Container, Iterable
from pathlib import Path

import gymnasium
import pytest
import yaml
from _pytest.mark import ParameterSet

import cli

RECIPES = Path(cli.__file__).parent / "recipes"
OVERLAYS = RECIPES / "overlays"
HEADS = sorted(path.stem for path in (OVERLAYS / "heads").glob("*.yaml"))
STUDIES = sorted((RECIPES / "studies").rglob("*.yaml"))
RECIPE_FILES = sorted(
    path
    for path in RECIPES.rglob("*.yaml")
    if OVERLAYS not in path.parents and path not in STUDIES
)
# A row with numbers of training and validation, or of a loss that only training has
OBJECTIVE = r"^((nll|squared_error|huber) +-?\d\S*|pinball) +-?\d"
CATEGORICAL = ("fan", "fourier", "linear")
TIED = ("fan", "linear")  # heads that can read out with the vectors of the embedding
RECIPE = {path.stem: path for path in RECIPE_FILES}
KINDS = {  # one recipe for each kind of data and module, with the heads that can serve it
    **dict.fromkeys(("pendulum", "quickstart", "two_peaks", "zero_shot"), HEADS),
    **dict.fromkeys(("cartpole", "lagged_sines", "sotu"), CATEGORICAL),
    **dict.fromkeys(("multiplication", "random_numbers", "written_numbers"), CATEGORICAL),
    **dict.fromkeys(("linear_equation", "tiny"), TIED),
}
# One recipe of series, tokens, trajectories and pairs; the others are left to the slow tests.
ALWAYS = ("quickstart", "sotu", "cartpole", "two_peaks")
# Heads of a density with atoms, and of none; the other pairs are left to the slow tests, too.
OFTEN = (("quickstart", "fourier_even_atoms"), ("quickstart", "quantile"))
SAME_DATA = ("cartpole", "tiny")  # whose data and module another of KINDS has too

FEW_SERIES = {"few": {"source": {"class_path": "KernelSynth", "init_args": {"number": 20}}}}
ONE_SET = {"m1": {"class_path": "Competition", "init_args": {"name": "M1", "frequency": "yearly"}}}
ZERO_SHOT = [
    *("--data.corpora", json.dumps(FEW_SERIES), "--data.benchmarks", json.dumps(ONE_SET)),
    *("--data.validation", "4", "--data.limit", "2"),
    *("--data.num_workers", "0"),
]
RANDOM = '[{"epsilon": 1.0}]'  # a player that is soon over
BYTES = [
    *("--data.source", "StateOfTheUnion", "--data.tokenizer", "ByteTokenizer"),
    *("--data.length", "32", "--data.num_workers", "0"),
    *("--model.backbone.dim", "32", "--model.backbone.heads", "4"),
]
NARROW = [
    *(*BYTES, "--trainer.accumulate_grad_batches", "1"),
    *("--model.backbone.feedforward.hidden", "${equal_parameters:128}"),
    *("--trainer.strategy", "auto"),  # that of the largest connects processes
]
SMALLER = {  # data and sizes, by recipe, where its own take longer than two steps of training
    **dict.fromkeys(("300m", "600m", "1b", "3b", "7b"), NARROW),
    "atari": [
        *("--data.source.player.skills", RANDOM, "--data.source.player.steps", "1500"),
        *("--data.horizon", "20"),
    ],
    **dict.fromkeys(("chronos_small", "zero_shot"), ZERO_SHOT),
    "chronos": [*ZERO_SHOT, "--model.backbone.dim", "128", "--model.backbone.heads", "2"],
    **dict.fromkeys(("gpt2", "pythia"), BYTES),
    "hopper": ["--data.source.steps", "2000", "--data.horizon", "20"],
    "lagged_sines_paper": ["--data.num_workers", "0"],
    "multiplication": ["--data.validation", "4"],
    "multiplication_paper": [
        *("--data.num_workers", "0", "--data.validation", "2"),
        *("--model.backbone.dim", "32", "--model.backbone.heads", "4"),
    ],
    "seaquest": [
        *("--data.source.skills", RANDOM, "--data.source.steps", "1500"),
        *("--data.horizon", "20"),
    ],
    "small": ["--data.batch_size", "4", "--data.eval_batch_size", "4"],
    "written_numbers": ["--data.batch_size", "4"],
}


def two_steps(recipe: Path, folder: Path, *overlays: str) -> None:
    """Trains two steps with overlays, one after the other, and plays or forecasts a little."""
    files = [word for overlay in (*overlays, "smoke") for word in ("--config", overlay)]
    smaller = SMALLER.get(recipe.stem, [])
    root = f"--trainer.default_root_dir={folder}"
    cli.main(["fit", "--config", str(recipe), *files, *smaller, root])


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch):
    """Ends the episodes of the pendulum, which nothing else ends, after 20 of 200 steps."""
    monkeypatch.setattr(gymnasium.spec("Pendulum-v1"), "max_episode_steps", 20)


def own_head(name: str) -> str:
    """The overlay of the head that a recipe has: `linear` for LinearHead."""
    if name not in RECIPE:  # deleted with the task that it belongs to
        return ""
    head = yaml.safe_load(RECIPE[name].read_text())["model"]["init_args"]["head"]
    kind = head if isinstance(head, str) else head["class_path"]
    return kind.removesuffix("Head").lower()


def runs(
    names: Iterable[tuple[str, str]], often: Container[tuple[str, str]] = ()
) -> list[ParameterSet]:
    """The recipes that are there with an overlay each; slow those that are not run often."""
    return [
        pytest.param(RECIPE[name], overlay, id=f"{name}-{overlay}", marks=marks)
        for name, overlay in names
        if name in RECIPE
        for marks in [() if (name, overlay) in often else pytest.mark.slow]
    ]


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in ALWAYS else pytest.mark.slow)
        for path in RECIPE_FILES
    ],
)
@pytest.mark.usefixtures("unsaved_pictures")
def test_two_steps(recipe, tmp_path, capsys):
    two_steps(recipe, tmp_path)
    table = capsys.readouterr().out
    assert re.search(OBJECTIVE, table, re.MULTILINE), table


@pytest.mark.parametrize(
    ("recipe", "head"),
    runs(
        ((name, head) for name in KINDS for head in KINDS[name] if head != own_head(name)), OFTEN
    ),
)
@pytest.mark.usefixtures("unsaved_pictures")
def test_two_steps_with_every_head(recipe, head, tmp_path, capsys):
    two_steps(recipe, tmp_path, f"heads/{head}")
    table = capsys.readouterr().out
    assert re.search(OBJECTIVE, table, re.MULTILINE), table


SOFT = {  # players whose chances are known, by recipe, and a few episodes of theirs
    "pendulum": ["--data.source.steps", "1000"],
    "seaquest": ["--data.source.steps", "1500", "--data.source.temperatures", "[20.0]"],
}


@pytest.mark.parametrize(("recipe", "overlay"), runs((name, f"{name}/soft") for name in SOFT))
@pytest.mark.usefixtures("unsaved_pictures")
def test_two_steps_of_a_soft_player_are_scored_by_the_truth(recipe, overlay, tmp_path, capsys):
    """Beside what the constant prediction scores, which sees nothing."""
    files = ("--config", str(recipe), "--config", overlay, "--config", "smoke")
    root = f"--trainer.default_root_dir={tmp_path}"
    cli.main(["fit", *files, *SOFT[recipe.stem], "--data.horizon", "20", root])
    table = capsys.readouterr().out
    assert re.search(r"^metric +train +val +constant$", table, re.MULTILINE), table
    assert re.search(r"^kl +\d\S* +\d\S*$", table, re.MULTILINE), table


@pytest.mark.usefixtures("unsaved_pictures")
@pytest.mark.parametrize(
    ("recipe", "head"),
    [
        ("quickstart", "LinearHead"),
        pytest.param("cartpole", "FanHead", marks=pytest.mark.slow),
    ],
)
def test_a_head_is_swapped_by_flag_overlay_or_edit(recipe, head, tmp_path, capsys):
    edited = yaml.safe_load(next(RECIPES.rglob(f"{recipe}.yaml")).read_text())
    edited["model"]["init_args"]["head"] = head
    (tmp_path / "edited.yaml").write_text(yaml.safe_dump(edited))
    ways = (
        ["--config", recipe, "--model.head", head, "--config", "smoke"],
        ["--config", recipe, "--config", f"heads/{head[:-4].lower()}", "--config", "smoke"],
        ["--config", str(tmp_path / "edited.yaml"), "--config", "smoke"],
    )
    tables = []
    for way in ways:
        cli.main(["fit", *way, f"--trainer.default_root_dir={tmp_path}"])
        tables.append(capsys.readouterr().out.partition("Metrics after")[2])
    assert "nll" in tables[0]
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize(
    ("recipe", "precision"),
    runs(
        [
            *((name, "bf16_true") for name in KINDS if name not in SAME_DATA),
            ("quickstart", "bf16"),
        ]
    ),
)
def test_two_steps_and_a_picture_in_bfloat16(
    recipe, precision, tmp_path, capsys, unsaved_pictures
):
    two_steps(recipe, tmp_path, f"precision/{precision}")
    assert re.search(OBJECTIVE, capsys.readouterr().out, re.MULTILINE)
    (pictures,) = unsaved_pictures
    assert len(pictures) == 1


@pytest.mark.parametrize("recipe", RECIPE_FILES + STUDIES, ids=lambda path: path.stem)
def test_header_states_a_measured_run(recipe):
    header = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    facts = {line.split()[1]: line.split()[2:] for line in header if len(line.split()) > 2}
    verb = ["overtone", "study"] if recipe in STUDIES else ["lightning", "fit", "--config"]
    assert facts["command"][: len(verb)] == verb
    assert facts["machine"]
    assert re.search(r"\d", " ".join(facts["duration"]))
    assert re.search(r"\d", " ".join(facts["result"]))


@pytest.mark.parametrize("recipe", RECIPE_FILES, ids=lambda path: path.stem)
def test_states_no_dimension_that_the_code_knows(recipe):
    model = yaml.safe_load(recipe.read_text())["model"]["init_args"]
    assert "spec" not in model
    for part in (model["stem"], model["head"]):
        options = part if isinstance(part, dict) else {}
        assert not {"dim", "spec", "support"} & set(options.get("init_args", {}))
