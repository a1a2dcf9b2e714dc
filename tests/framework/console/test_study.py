"""The verb `study`: finds a study, reads its options, and says in one sentence what is wrong."""

import pytest

import cli
from framework.console import recipes
from framework.studies import Study

STUDY = """# Asks something.
study:
  class_path: tests.framework.console.test_study.Echo
  init_args:
    number: 3
"""


class Echo(Study):
    """Writes its number.

    Args:
        number: Any.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def run(self, folder, jobs):
        (folder / "number").write_text(f"{self.number} {jobs}")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of recipes with a study and a recipe of one name."""
    for name in ("studies/echo", "decision/echo"):
        path = tmp_path / "recipes" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(STUDY)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_runs_in_a_folder_of_its_name(folder):
    cli.main(["study", "echo", "--study.number", "7", "--jobs", "2"])
    assert (folder / "runs" / "studies" / "echo" / "number").read_text() == "7 2"


def test_a_study_may_be_a_file_of_ones_own(folder):
    (folder / "mine.yaml").write_text(STUDY)
    cli.main(["study", "mine.yaml", "--folder", "here", "--jobs", "1"])
    assert (folder / "here" / "number").read_text() == "3 1"


def test_a_folder_belongs_to_its_options(folder, capsys):
    cli.main(["study", "echo", "--folder", "here"])
    cli.main(["study", "echo", "--folder", "here", "--jobs", "2"])
    assert (folder / "here" / "number").read_text() == "3 2"
    with pytest.raises(SystemExit):
        cli.main(["study", "echo", "--folder", "here", "--study.number", "4"])
    assert "holds results of other options" in capsys.readouterr().err
    assert (folder / "here" / "number").read_text() == "3 2"


def test_studies_and_recipes_of_one_name_do_not_collide(folder, capsys):
    assert recipes.find("echo") == folder / "recipes" / "decision" / "echo.yaml"
    cli.main(["recipes"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == ["echo", "study echo"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["study"], "study needs the name of a study"),
        (["study", "ecko"], "did you mean echo"),
        (["study", "echo", "--jobs", "0"], "--jobs 0 runs nothing"),
        (["study", "echo", "--study.number", "x"], "study.number: expected"),
        (["study", "echo", "--job", "3"], "--job"),
    ],
)
def test_a_mistake_is_one_sentence(words, told, folder, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert told in said.lower()
    assert len(said.splitlines()) == 1
