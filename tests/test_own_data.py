"""Files of a user become answers by what the pages on own data show, from an installed wheel."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.documentation.shown import blocks, commands
from tests.scripts import run_script

PAGES = [f"docs/own/{kind}.md" for kind in ("series", "text", "episodes", "tables")]
COMMANDS = [words for page in PAGES for words in commands(page)]
SCRIPTS = [text for page in PAGES for text in blocks(page, "python")]
# What makes the runs short: two steps, validated after the last one.
SHORT = [
    "--trainer.max_steps=2",
    "--trainer.val_check_interval=2",
    "--trainer.limit_val_batches=1",
]
RUN = """
import json, sys, cli
print(cli.__file__)
for words in json.load(open("commands.json")):
    print("$", *words, flush=True)
    cli.main(words)
for script in json.load(open("scripts.json")):
    print("$ python", flush=True)
    exec(script, shown := {})
    print(*sorted(shown), flush=True)
"""
MONTHS = 132


def write_files(folder):
    """Writes what the pages say that the files hold."""
    generator = np.random.default_rng(0)
    months = pd.date_range("2015-01-01", periods=MONTHS, freq="MS")
    season = 100 + 20 * np.sin(np.arange(MONTHS) * np.pi / 6)
    shops = [
        pd.DataFrame(
            {"id": name, "time": months, "value": season + generator.normal(0, 3, MONTHS)}
        )
        for name in ("north", "south")
    ]
    pd.concat(shops).to_csv(folder / "sales.csv", index=False)
    (folder / "books").mkdir()
    text = "It was the best of times, it was the worst of times. " * 400
    (folder / "books" / "one.txt").write_text(text)
    (folder / "texts").mkdir()
    (folder / "texts" / "one.jsonl").write_text(json.dumps({"text": text}) + "\n")
    area = generator.uniform(30, 200, 400)
    price = 3000 * area + generator.normal(0, 20_000, 400)
    pd.DataFrame({"area": area, "price": price}).to_csv(folder / "houses.csv", index=False)
    pd.DataFrame({"area": area[:5]}).to_csv(folder / "new_houses.csv", index=False)
    np.savez(
        folder / "episodes.npz",
        observations=generator.normal(size=(600, 4)).astype(np.float32),
        actions=generator.integers(0, 2, 600),
        rewards=np.ones(600, np.float32),
        terminals=np.arange(600) % 30 == 29,
    )


@pytest.fixture(scope="module")
def answered(wheel, tmp_path_factory):
    """Runs all commands in an empty folder, one after the other; returns it and what they said."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("own")
    wheel.extractall(site)
    write_files(folder)
    words = [[*line[1:], *(SHORT if line[1] == "fit" else [])] for line in COMMANDS]
    (folder / "commands.json").write_text(json.dumps(words))
    (folder / "scripts.json").write_text(json.dumps(SCRIPTS))
    done = run_script(RUN, folder, site, tmp_path_factory.mktemp("said"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(site))
    return folder, done.stdout


def said(answered, verb):
    """Returns what the only command of a verb said."""
    (part,) = (part for part in answered[1].split("\n$ ") if part.startswith(f"{verb} "))
    return part


pytestmark = pytest.mark.slow


def test_every_kind_has_training_and_an_answer():
    verbs = [line[1] for line in COMMANDS]
    assert verbs.count("fit") == 4
    assert {"forecast", "generate", "evaluate", "play", "predict"} <= set(verbs)


def test_readers_of_the_readme_are_shown_the_same():
    shown = [words for words in commands("README.md") if "--data.source" in words]
    assert shown
    assert all(words in COMMANDS for words in shown)


def test_python_gives_the_same_answers(answered):
    scripts = answered[1].split("\n$ python\n")[1:]
    assert len(scripts) == len(SCRIPTS) == 4
    for said, name in zip(scripts, ("frame", "texts", "played", "levels"), strict=True):
        assert name in said.split()


def test_a_forecast_follows_the_last_month(answered):
    table = pd.read_csv(answered[0] / "forecast.csv", parse_dates=["time"])
    assert list(table.columns) == ["id", "time", "step", "mean", "0.1", "0.5", "0.9"]
    assert list(table["id"].unique()) == ["north", "south"]
    assert len(table) == 2 * 12
    first = table.groupby("id")["time"].min()
    assert (first == pd.Timestamp("2026-01-01")).all()
    assert (answered[0] / "forecast.png").stat().st_size > 10_000


def test_a_forecast_needs_no_training(answered):
    table = pd.read_csv(answered[0] / "at_once.csv", parse_dates=["time"])
    assert len(table) == 2 * 12
    assert (table["0.1"] < table["0.5"]).all()
    assert (table["0.5"] < table["0.9"]).all()
    month = np.arange(MONTHS, MONTHS + 12)
    truth = 100 + 20 * np.sin(month * np.pi / 6)  # without the noise, whose deviation is 3
    for _, shop in table.groupby("id"):
        assert np.abs(shop["0.5"] - truth).mean() < 4
    assert np.abs(truth[-1] - truth).mean() > 10  # so a repeated value is no such forecast


def test_a_text_goes_on_and_is_scored(answered):
    assert "\nIt was the" in said(answered, "generate")
    assert re.search(r"books/one.txt +[\d,]+ +21,200 ", said(answered, "evaluate"))


def test_a_policy_is_played_for_every_return(answered):
    table = pd.read_csv(answered[0] / "episodes.csv")
    assert table.groupby("target_return").size().to_dict() == {20: 16, 40: 16, 60: 16}
    assert "random 0, data 100" in said(answered, "play")


def test_a_column_is_predicted(answered):
    (path,) = re.findall(r"Predictions: (\S+)", said(answered, "predict"))
    table = pd.read_json(path, lines=True)
    assert list(table["id"]) == [1, 2, 3, 4, 5]
    assert table["target"].isna().all()
    assert all(row["0.1"] < row["0.5"] < row["0.9"] for row in table["quantiles"])
