"""The toy table: what is trained together, what is kept, what is drawn, and what was published."""

import shutil
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import pytest
import torch
import yaml

import cli
from components.backbones import Perceptron
from components.heads import EvenMixtureHead, FourierHead, LinearHead
from components.losses import NegativeLogLikelihood
from components.stems import FeatureStem, Unscaled
from framework.papers.fourier import ToyTable
from framework.papers.fourier.groups import Group, GroupResult, Progress
from framework.papers.fourier.toy import METRICS, ToyProblem, Training
from framework.schedules import Constant
from framework.studies import read
from framework.tables import plus_minus
from framework.tasks.toy_densities import Gaussian, Synthetic, TwoGaussians

RECIPES = Path(cli.__file__).parent / "recipes"
TOY = yaml.safe_load((RECIPES / "studies/fourier/toy.yaml").read_text())["study"]["init_args"]
FINISHED = RECIPES / "studies/fourier/toy.csv"
EMPTY = GroupResult([], {})


def small(steps=3, **changes):
    training = Training(
        stem=partial(FeatureStem, scale=Unscaled),
        fourier=FourierHead,
        mixture=EvenMixtureHead,
        optimizer=partial(torch.optim.Adam, lr=0.01),
        schedule=Constant,
        heads={"linear": partial(LinearHead, bins=20)},
    )
    options = {
        "problems": {
            "one": ToyProblem(partial(Synthetic, Gaussian()), 1),
            "two": ToyProblem(partial(Synthetic, TwoGaussians())),
        },
        "trainings": {"way": training},
        "backbone": partial(Perceptron, dim=8, depth=1),
        "losses": {"nll": NegativeLogLikelihood},
        "frequencies": (1, 2),
        "seeds": (1, 2),
        "published": {"one/way/fourier-2": {"kl_cells": "0.563 ± 0.001"}},
        **changes,
    }
    return ToyTable(steps=steps, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a table that was made by one process."""
    path = tmp_path_factory.mktemp("toy")
    small().run(path, jobs=1)
    return path


@pytest.fixture
def trained(monkeypatch):
    """Notes the groups that are trained, and draws nothing."""
    names = []
    monkeypatch.setattr(Group, "train", lambda group, *_: names.append(group.name) or EMPTY)
    monkeypatch.setattr(ToyTable, "_report", lambda *_: None)
    return names


@pytest.mark.slow
def test_a_table_has_all_heads_seeds_and_pictures(folder):
    results = read(folder / "results.csv")
    heads = ("fourier-1", "fourier-2", "linear", "mixture")
    variants = {f"{problem}/way/{head}" for problem in ("one", "two") for head in heads}
    assert {result.variant for result in results} == variants
    assert {result.seed for result in results} == {1, 2}
    lines = (folder / "table.md").read_text().split("\n")
    row = next(line for line in lines if line.startswith("| one/way/fourier-2 | 2 |"))
    assert "0.563 ± 0.001" in row  # as it was published
    own = defaultdict(list)
    for result in results:
        if result.variant == "one/way/fourier-2":
            own[result.metric].append(result.value)
    expected = {plus_minus(fmean(found), stdev(found)) for found in own.values()}
    assert len(expected & {cell.strip() for cell in row.split("|")}) == 3
    assert sorted(path.name for path in folder.glob("*.png")) == [
        "distributions-one-way.png",
        "distributions-two-way.png",
        "frequencies-way.png",
    ]


@pytest.mark.slow
def test_finished_groups_are_kept_unless_their_settings_change(trained, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    small().run(tmp_path, jobs=1)
    assert trained == []
    small(steps=2).run(tmp_path, jobs=1)
    assert trained == ["way/fourier", "way/linear", "way/mixture-1", "way/mixture-2"]


@pytest.mark.slow
def test_processes_share_the_groups(folder, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(ToyTable, "_report", lambda _, folder, groups: kept.extend(groups))
    small().run(tmp_path, jobs=2)
    found = sorted(result for group in kept for result in group.results)
    for mine, theirs in zip(found, sorted(read(folder / "results.csv")), strict=True):
        assert mine[:3] == theirs[:3]
        assert mine.value == pytest.approx(theirs.value, rel=1e-6)


@pytest.mark.slow
def test_a_group_that_failed_is_named(monkeypatch, tmp_path):
    train = Group.train

    def failing(group, steps, report):
        if group.name == "way/linear":
            raise SystemExit(3)
        return train(group, steps, report)

    monkeypatch.setattr(Group, "train", failing)
    with pytest.raises(ValueError, match=r"ToyTable: .*way/linear did not finish; .*\.$"):
        small().run(tmp_path, jobs=2)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match=r"ToyTable: problems=\[\], .*\.$"):
        small(problems={})


def test_frequencies_may_be_in_any_order():
    """Each head keeps its own, within the shape of the widest one."""
    training = small().trainings["way"]
    training.heads.clear()
    group = small(frequencies=(3, 1, 2), trainings={"way": training}).groups()[0]
    replicas = group.replicas(2)
    replicas.train()
    for candidate, model in zip(group.candidates, replicas.models, strict=True):
        frequencies = int(candidate.variant.rpartition("-")[2])
        for half in model.head.projection.weight.chunk(2):
            assert half.abs().sum(1).gt(0).tolist() == [k <= frequencies for k in range(4)]


def test_a_number_of_frequencies_that_is_repeated_is_refused():
    with pytest.raises(ValueError, match=r"frequencies=\[2, 4, 2\] names a number twice"):
        small(frequencies=(2, 4, 2))


def test_progress_is_printed(capsys):
    progress = Progress("a group", 1000)
    for step in range(1, 101):
        progress(step)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("a group: step 10 of 1000, ")
    assert second.startswith("a group: step 100 of 1000, ")


@pytest.mark.parametrize("problem", ["gaussian", "two_gaussians", "signed_beta"])
def test_the_recipe_of_a_problem_is_what_the_table_trains(problem):
    recipe = yaml.safe_load((RECIPES / f"density/toy_densities/{problem}.yaml").read_text())
    model, data = recipe["model"]["init_args"], recipe["data"]["init_args"]
    how = TOY["trainings"]["classification"]
    head = {**how["fourier"]["init_args"], "frequencies": 12}
    assert model["head"] == {"class_path": how["fourier"]["class_path"], "init_args": head}
    assert (model["stem"], model["backbone"]) == (how["stem"], TOY["backbone"])
    assert (model["losses"], model["schedule"]) == (TOY["losses"], how["schedule"])
    assert adam(model) == adam(how)
    assert (
        data["source"]["init_args"]["process"]
        == TOY["problems"][problem]["problem"]["init_args"]["process"]
    )
    assert data["source"]["init_args"]["seed"].strip("${.}") == "seed_everything"
    assert data["seed"].strip("${.}") == "seed_everything"
    assert (data["batch_size"], recipe["trainer"]["max_steps"]) == (32, 62_500)
    assert "gradient_clip_val" not in recipe["trainer"]


def test_the_overlay_for_likelihood_is_what_the_table_trains():
    overlay = yaml.safe_load((RECIPES / "overlays" / "density" / "likelihood.yaml").read_text())
    model, how = overlay["model"]["init_args"], TOY["trainings"]["likelihood"]
    assert model["stem"]["init_args"] == how["stem"]["init_args"]
    assert model["schedule"] == how["schedule"]
    assert overlay["trainer"]["gradient_clip_val"] == how["clip"]
    assert model["head"]["init_args"] == {"bins": None, "eps": 0.0}
    assert how["fourier"]["init_args"] == {"init": "official"}
    assert adam(how) == adam(TOY["trainings"]["classification"])


def adam(options):
    """The optimizer, but for the option that changes its speed only."""
    settings = {**options["optimizer"]["init_args"]}
    settings.pop("fused", None)
    return options["optimizer"]["class_path"], settings


@pytest.mark.slow
def test_a_recipe_takes_two_steps_by_likelihood(tmp_path, capsys):
    """Without cells there is no smoothness."""
    quiet = ["--config", "smoke", f"--trainer.default_root_dir={tmp_path}"]
    cli.main(["fit", "--config", "signed_beta", "--config", "density/likelihood", *quiet])
    table = capsys.readouterr().out
    assert "kl_cells" in table
    assert "smoothness" not in table


BANDS = [  # of the reproduction: published means, and how far a run may lie from them
    ("gaussian/classification/fourier-2", "kl_cells", 0.553, 0.573),
    ("gaussian/classification/fourier-4", "kl_cells", 0.187, 0.207),
    ("gaussian/classification/fourier-12", "kl_cells", 0.07, 0.16),
    ("two_gaussians/classification/fourier-6", "kl_cells", 0.10, 0.19),
    ("signed_beta/classification/fourier-16", "kl_cells", 0.13, 0.20),
    ("gaussian/classification/linear", "kl_cells", 0.10, 0.24),
    ("gaussian/classification/fourier-12", "smoothness", 0.053, 0.061),
    ("gaussian/classification/linear", "smoothness", 0.105, 0.125),
    ("gaussian/likelihood/fourier-8", "kl_cells", 0.024, 0.036),
    ("two_gaussians/likelihood/fourier-8", "kl_cells", 0.047, 0.071),
    ("signed_beta/likelihood/fourier-16", "kl_cells", 0.090, 0.120),
]


@pytest.mark.skipif(not FINISHED.is_file(), reason="the table has not been run to its end")
@pytest.mark.parametrize(("variant", "metric", "low", "high"), BANDS)
def test_the_finished_table_lies_in_the_bands_of_the_paper(variant, metric, low, high):
    values = [r.value for r in read(FINISHED) if (r.variant, r.metric) == (variant, metric)]
    assert len(values) == 4
    assert low <= sum(values) / 4 <= high


def test_published_numbers_belong_to_what_is_run():
    heads = {*(f"fourier-{n}" for n in range(2, 21, 2)), "mixture", "linear", "point"}
    for variant, numbers in TOY["published"].items():
        problem, training, head = variant.split("/")
        assert problem in TOY["problems"]
        assert training in TOY["trainings"]
        assert head in heads
        assert set(numbers) <= set(METRICS)
