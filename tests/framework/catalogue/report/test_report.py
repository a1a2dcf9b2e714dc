"""`overtone report`: one page, which loads nothing and holds what a run or a study left."""

import base64
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from matplotlib.image import imsave
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

import cli
from tests.framework.catalogue.report.conftest import COMMAND, EVIL
from tests.framework.catalogue.report.reading import Page


def reported(folder, *words):
    cli.main(["report", str(folder), *words])
    return Page(folder / "report.html")


def test_a_run_is_shown_with_all_it_left(run, capsys):
    page = reported(run)
    assert capsys.readouterr() == (f"{run / 'report.html'}\n", "")
    reported(run)
    assert capsys.readouterr().err == f"Replaced, an earlier report: {run / 'report.html'}\n"
    assert page.texts["h1"] == [f"{EVIL.replace('/', '')}/version_0"]
    assert [title.strip() for title in page.texts["h2"]] == [
        "Metrics", "Curves", "Predictions", "Throughput",
        "Configuration and reproduction", "Environment",
    ]  # fmt: skip
    assert ["metric", "train", "val", "naive"] in page.rows
    assert ["mase", "", "1.25", "1.75"] in page.rows
    assert ["model.head.frequencies", "12", "3"] in page.rows
    assert "model.head" not in [row[0] for row in page.rows], "it is the same class"
    assert ["steps per second", "25"] in page.rows
    assert ["variable", EVIL] in page.rows
    assert any(text.strip() == " ".join(COMMAND) for text in page.texts["pre"])
    assert len(page.all("path", **{"class": "line stroke-0"})) == 2  # train/nll, and the speed
    assert len(page.all("path", **{"class": "line stroke-1"})) == 1
    assert "1 values are not finite." in page.texts["p"]
    assert {each["alt"] for each in page.all("img")} == {"densities", "only_logged, step 199"}
    assert EVIL in page.texts["pre"]


def test_pictures_on_white_are_inverted_in_the_dark_and_others_are_not(run):
    imsave(run / "figures" / "chart.png", np.ones((4, 6, 3)))
    page = reported(run)
    inverted = {each["alt"] for each in page.all("img", **{"class": "on-white"})}
    assert inverted == {"chart"}
    (style,) = page.texts["style"]
    assert ".on-white { filter: invert(" in style


def test_a_page_loads_nothing_and_runs_nothing_but_its_own(run):
    page = reported(run)
    (style,), (script,) = page.texts["style"], page.texts["script"]
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy["content"]
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    attributes = [pair for _, found in page.elements for pair in found.items()]
    loaded = [value for name, value in attributes if name in ("src", "href", "srcset", "action")]
    assert all(value.startswith(("data:", "#")) for value in loaded)
    assert not any(name.startswith("on") or name == "style" for name, _ in attributes)
    assert not re.search(r"url\(|@import|fetch|XMLHttp|import\(", style + script)


def test_a_study_is_shown_with_its_table_and_all_runs(study):
    page = reported(study)
    assert [EVIL, "2", "1.5 ± 0.7"] in page.rows
    assert sum("seed-" in row[0] for row in page.rows) == 5
    (chart,) = (each for each in page.all("svg") if each["aria-label"] == "val/nll")
    assert chart
    steps = [each["data-steps"] for each in page.all("path") if each.get("data-steps") == "99 199"]
    assert len(steps) == 2, "a mean of each variant"
    values = {each["data-values"] for each in page.all("path") if "data-values" in each}
    assert f"{10 / 99 + 1.5:.5g} {10 / 199 + 1.5:.5g}" in values
    (saved,) = page.all("a", download="study.yaml")
    text = base64.b64decode(saved["href"].partition(",")[2]).decode()
    assert text.startswith("study:\n  class_path: Variants")
    assert [each["alt"] for each in page.all("img")] == ["seeds"]


def test_a_run_that_has_not_ended_shows_its_last_values(run):
    (run / "metrics.json").unlink()
    (run / "provenance.json").unlink()
    shutil.rmtree(run / "figures")
    page = reported(run)
    assert "the numbers are the last ones" in page.texts["header"][0]
    assert "val/nll0.05025" in page.texts["dl"][0]
    assert "Of this report; the run noted none" in page.texts["figcaption"]
    assert "The run did not note which recipe it came from." in page.texts["p"]


def test_a_csv_log_is_read_where_there_are_no_events(run):
    for path in run.glob("*tfevents*"):
        path.unlink()
    log = "epoch,step,val/nll,train/nll\n0,9,,3.5\n0,9,2.5,\n1,19,,1.5\n"
    (run / "metrics.csv").write_text(log)
    lines = [each for each in reported(run).all("path") if "data-steps" in each]
    assert [(each["data-steps"], each["data-values"]) for each in lines] == [
        *(("9", "2.5"), ("9 19", "3.5 1.5"))
    ]


def test_names_without_a_stage_and_films_hide_nothing(run):
    """Nor end the report: TensorBoard takes a film for a picture."""
    film = Summary.Value(tag="film", image=Summary.Image(encoded_image_string=b"GIF89a"))
    with SummaryWriter(str(run)) as events:
        events.add_scalar("nll", 1.0, 7)
        events.file_writer.add_summary(Summary(value=[film]), 7)
    page = reported(run)
    assert len([each for each in page.all("path") if "data-steps" in each]) == 4
    assert "film, step 7, is no PNG file, and shown by TensorBoard only." in page.texts["p"]


def damage(folder, name, data):
    (path,) = folder.glob(name)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("*tfevents*", b"no events at all", "is damaged: a checksum in it is wrong"),
        ("config.yaml", b"a: [", "config.yaml, line 1, column 5: this is not YAML"),
        ("config.yaml", b"\xff\xfe", "config.yaml: this is not YAML"),
        ("metrics.json", b"[1]", "metrics.json holds no numbers by name"),
        ("provenance.json", b"{}", "provenance.json holds no command and environment"),
        (
            "provenance.json",
            b'{"command": "fit", "environment": {}}',
            "provenance.json holds no command and environment (the command is no list of words)",
        ),
        ("figures/*.png", b"\x89PNG\r\n\x1a\n", "densities.png is no whole PNG file"),
    ],
)
def test_damaged_files_are_named_in_one_sentence(name, data, told, run, capsys):
    damage(run, name, data)
    assert told in refused(capsys, str(run))
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("name", ["config-1.yaml", "figures/b.png", "a.tfevents", "report.html"])
def test_a_link_to_nothing_is_named_in_one_sentence(name, run, capsys):
    (run / name).symlink_to("/nowhere/it")
    told = f"{run / name} is a link to /nowhere/it, which does not exist; restore that, or remove"
    assert told in refused(capsys, str(run))


def test_the_last_recipe_is_that_of_the_highest_number(run):
    text = (run / "config.yaml").read_text()
    for number in (2, 10, 9):  # however they were copied
        (run / f"config-{number}.yaml").write_text(text)
    assert [each["download"] for each in reported(run).all("a") if "download" in each] == [
        "config-10.yaml"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{root}/none"], "There is no folder {root}/none; name that of your runs"),
        (["{run}/config.yaml"], "{run}/config.yaml is a file; name the folder of a run"),
        (["{run}", "--output", ""], "must end in .html"),
        (["{root}/empty"], "{root}/empty is no run and no study: it holds no config.yaml"),
        (["{root}/runs"], "{root}/runs is no run, but holds 1; name one, such as {run}"),
        ([], "the following arguments are required: folder"),
        (["{run}", "--output", "{root}/none/a.html"], "There is no folder {root}/none for a.html"),
        (["{run}", "--output", "{root}/a.pdf"], "{root}/a.pdf must end in .html"),
        (["{run}", "--output", "{root}/b.html"], "{root}/b.html exists already"),
        (["{run}", "--calibration=0"], "--calibration '0' is no number from 1 on; write one such"),
        (["{run}", "--calibration=abc"], "--calibration 'abc' is no number from 1 on; write one"),
        (["{run}", "--calibration=8"], "checkpoints holds no checkpoint to measure"),
        (["{study}", "--calibration=8"], "is a study; --calibration measures one of its runs"),
    ],
)
def test_a_mistake_is_one_sentence(words, told, run, study, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.html").touch()
    names = {"root": tmp_path, "run": run, "study": study}
    assert told.format(**names) in refused(capsys, *(word.format(**names) for word in words))


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(["report", *words])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_a_run_that_diverged_has_no_curve(study):
    note = {"variant": "fan", "seed": 1, "learning_rate": 0.4, "metrics": {}, "diverged": True}
    place = study / "fan" / "lr-0.4" / "seed-1"
    place.mkdir(parents=True)
    (place / "finished.json").write_text(json.dumps(note))
    curves = [each["data-steps"] for each in reported(study).all("path") if "data-steps" in each]
    assert curves.count("99 199") == 2


def test_a_damaged_note_of_a_study_is_named(study, capsys):
    damage(study, "plain/seed-1/finished.json", json.dumps({"variant": "plain"}).encode())
    assert "finished.json is no note of a finished run" in refused(capsys, str(study))
