"""The verbs that READMEs show of read-outs run, on a smaller model."""

import re
import shlex
from pathlib import Path

import pytest

import cli

# Each runs a verb on a model that was trained.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

ROOT = Path(cli.__file__).parent
PAGES = (
    "README.md",
    "framework/papers/token_encoding/README.md",
    "recipes/language/token_encoding/README.md",
)
QUICK = ["--accelerator=cpu", "--sequences=12", "--contexts=150"]
SHOWN = {  # each once, however many pages show it
    line: None
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    for line in block.splitlines()
    if re.match(r"overtone (probe|edit|prune) ", line)
}


@pytest.mark.parametrize("line", SHOWN)
def test_a_verb_that_is_shown(line, tied, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Of bytes, a word is several tokens: its first letter takes its place.
    words = shlex.split(re.sub(r'"\s?(\w)\w*": ', r'"\1": ', line))[1:]
    words = [str(tied) if word.endswith("last.ckpt") else word for word in words]
    if "--statistics" in words:  # of the model of the recipe
        place = words.index("--statistics")
        del words[place : place + 2]
    if "--kl_budget" in words:  # which has no dimension of 8 that is cheap enough
        place = words.index("--kl_budget")
        words[place : place + 2] = ["--fraction", "0.25"]
    if "--tokens" in words:  # no row can move so few contexts that far
        words += ["--direction", "bias"]
    cli.main([*words, *QUICK])
    assert capsys.readouterr().out
    new = [word for word in words if word.endswith("ed.ckpt")]
    assert [path.name for path in tmp_path.glob("*.ckpt")] == new


def test_all_verbs_are_shown():
    assert {line.split()[1] for line in SHOWN} == {"probe", "edit", "prune"}
