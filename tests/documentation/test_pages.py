"""Pages that are made: links lead to pages of the site, the gallery says what headers say."""

import json
import re

import pytest

from docs.pages import gallery, notebooks, repository
from framework.console import recipes
from tests.documentation.shown import CLICKS, QUESTIONS, ROOT, clicks

LINK = re.compile(r"(?<!!)\[[^\[\]]*\]\((?![a-z]+:)([^)\s#]+)")  # to a file, not a picture
LARGEST = 150_000  # bytes of a picture or notebook
TOGETHER = 1_000_000


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("own/series.md", "[it](../cluster.md)", "[it](../cluster.md)"),
        ("own/series.md", "[a](../notebooks/series.ipynb)", "[a](../notebooks/series.md)"),
        ("own/head.md", "[c](../../CONTRIBUTING.md#x)", "[c](../contributing.md#x)"),
        ("model.md", "[c](docs/cluster.md)", "[c](cluster.md)"),
        ("papers/fourier.md", "[b](../../../components/heads)", "b"),
        ("papers/chronos.md", "[card](weights/zero_shot.md)", "[card](zero_shot.md)"),
        ("papers/results.md", "![p](fanformer_curves.png)",
         "![p](../recipes/studies/fanformer_curves.png)"),
        ("start.md", "[no](nowhere.md) [far](https://a.org/b.md)",
         "[no](nowhere.md) [far](https://a.org/b.md)"),
    ],
)  # fmt: skip
def test_links_lead_to_pages_or_become_text(page, text, expected):
    assert repository.linked(text, page) == expected


def linked_pages(page):
    """Returns the files in Markdown that one links to."""
    paths = ((ROOT / page).parent / link for link in LINK.findall((ROOT / page).read_text()))
    files = (path.resolve() for path in paths if path.suffix == ".md" and path.is_file())
    return [path.relative_to(ROOT).as_posix() for path in files]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stranger_finds_the_answer_from_the_readme(question):
    page, answer = QUESTIONS[question]
    assert clicks("README.md", linked_pages)[page] <= CLICKS
    assert answer in (ROOT / page).read_text()


def test_claims_are_those_of_the_paper():
    found = repository.claims("([arXiv:2404.00859](https://a.org))", "papers/myopic.md")
    assert "Lagged sines" in found
    assert "Seaquest" not in found
    assert repository.claims("No paper.", "papers/myopic.md") == ""


def test_facts_are_those_of_the_header(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(
        "# A recipe.\n#\n#   command    lightning fit --config one\n#   result     nll 1.5,\n"
        "#              one seed\n#\n#   duration   9 s\nmodel: X\n"
    )
    assert gallery.facts(path) == {
        "command": "lightning fit --config one",
        "result": "nll 1.5, one seed",
    }


def test_the_gallery_has_every_recipe_overlay_and_study():
    tables = gallery.tables()
    every = [*recipes.recipes(), *recipes.studies()]
    assert sum(table.count("\n| ") for table in tables.values()) >= len(every)
    assert set(gallery.facts(recipes.find("quickstart"))) == set(gallery.FACTS)


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
def test_notebooks_keep_small_outputs_and_use_the_public_faces(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    source = "\n".join("".join(cell["source"]) for cell in code)
    assert "from components import " in source
    assert "from framework import " in source
    assert not re.search(r"^(from|import) (components|framework)\.", source, re.MULTILINE)
    kinds = [kind for cell in code for out in cell["outputs"] for kind in out.get("data", ())]
    assert "image/png" in kinds
    assert path.stat().st_size < LARGEST


def test_files_of_the_documentation_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "docs").rglob("*") if path.is_file()]
    assert max(sizes) < LARGEST
    assert sum(sizes) < TOGETHER
