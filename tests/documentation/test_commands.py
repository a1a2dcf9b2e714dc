"""Every command that a page shows is one that the command line takes."""

import argparse
import importlib
import inspect
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

import cli
from framework.catalogue import parts
from framework.catalogue.plain_parser import PlainParser
from framework.console import recipes, verbs
from framework.console.parsing import VerbParser
from tests import test_own_data, test_readme
from tests.documentation.shown import PAGES, ROOT, blocks, commands, inline

OURS = ("overtone", "lightning")
OTHERS = {"pip", "python", "sbatch", "kubectl", "pre-commit", "pytest"}
SCRIPTS = re.compile(r"(\w+=\S+ )*recipes/cluster/\S+\.sh\b")
TRAINED = ("fit", "validate", "test", "predict", "plan", "bench")  # options of training
CHECKPOINTS = ("probe", "edit", "prune", "future")  # need one to parse; run in their own tests
SHOWN = {page: [words for words in commands(page) if words[0] in OURS] for page in PAGES}
UNIQUE = sorted({tuple(words[1:]) for every in SHOWN.values() for words in every})
DONE = {tuple(words) for words in test_readme.RUNS}  # that tests do, and need not be parsed
DONE |= {tuple(words[1:]) for words in test_own_data.COMMANDS}
RUNS = [words for words in UNIQUE if words[0] in ("fit", "plan") and words not in DONE]
RECIPES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("recipes/**/README.md"))
SENTENCES = [words for page in (*PAGES, "CONTRIBUTING.md", *RECIPES) for words in inline(page)]
OPTION = re.compile(r"(?<!\S)--[\w.]+")
QUICK = ("fit --config pendulum --config heads/fourier_even_atoms",)


class Parsed(Exception):
    """Ends a verb once its words are parsed."""


@pytest.fixture
def parsing(monkeypatch):
    """Lets verbs parse their words and do nothing more."""

    def ending(parse):
        def parse_and_end(*args, **options):
            parse(*args, **options)
            raise Parsed

        return parse_and_end

    monkeypatch.setattr(VerbParser, "parse", ending(VerbParser.parse))
    monkeypatch.setattr(PlainParser, "parse_args", ending(argparse.ArgumentParser.parse_args))


def test_pages_show_commands():
    assert sum(map(len, SHOWN.values())) > 60
    assert Counter(words[0] for words in UNIQUE).keys() >= {"fit", "forecast", "play", "generate"}


@pytest.mark.parametrize("page", PAGES)
def test_programs_verbs_recipes_and_scripts_exist(page):
    for words in commands(page):
        if words[0] in OURS:
            assert words[1] in {*verbs.LIGHTNING, *verbs.RECIPES, *verbs.names()}, words
            if words[1] != "study":
                recipes.with_paths([word for word in words if word != "RECIPE"])
            else:
                assert recipes.find(words[2], recipes.studies()).is_file()
        elif not SCRIPTS.match(" ".join(words)):
            assert words[0] in OTHERS, words
        for word in words:
            if re.match(r"recipes/\S+\.\w+$", word):
                assert (ROOT / word).is_file(), word


def test_verbs_parse_what_is_shown(parsing):
    cli._import_classes()
    others = [words for words in UNIQUE if words[0] not in (*TRAINED, *CHECKPOINTS, "recipes")]
    assert len(others) > 15
    for verb, *words in others:
        # of a forecaster, which reads its checkpoint before it parses, the one that is shipped
        known = [re.sub(r"^runs/.*\.ckpt$", "zero_shot", w) for w in words]
        with pytest.raises(Parsed):
            verbs.load(verb)(known if verb == "forecast" else words, "overtone")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            words, id=" ".join(words), marks=[] if " ".join(words) in QUICK else pytest.mark.slow
        )
        for words in RUNS
    ],
)
def test_runs_parse(words, tmp_path, monkeypatch, capsys):
    (head,) = (text for text in blocks("docs/own/head.md", "python") if "(Head)" in text)
    (tmp_path / "mylaplace.py").write_text(head)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--print_config"])
    assert end.value.code == 0
    assert "class_path: " in capsys.readouterr().out


@pytest.mark.slow
def test_sentences_name_commands_and_options_that_exist(capsys):
    flags = {"recipes": set()}
    for verb in [*verbs.LIGHTNING, *verbs.names()]:
        with suppress(SystemExit):
            cli.main([verb, "--help"])
        flags[verb] = {*OPTION.findall(capsys.readouterr().out)}
    every = set().union(*flags.values())
    kinds = {kind for several in parts.kinds().values() for kind in several}
    of_parts = {"help"}.union(*(inspect.signature(kind).parameters for kind in kinds))
    named = [(words, OPTION.findall(" ".join(words))) for words in SENTENCES]
    assert sum(len(options) for _, options in named) > 60
    for words, options in named:
        there = every if words[0].startswith("--") else flags[words[1]]
        for option in options:
            if option.startswith(("--data.", "--model.")):
                assert option.rpartition(".")[2] in of_parts, words
            else:
                assert option in there, words


def imports(text):
    return re.findall(r"^from (\w[\w.]*) import (.+)$", text, re.MULTILINE)


def test_pages_show_imports():
    shown = [
        module for page in PAGES for text in blocks(page, "python") for module, _ in imports(text)
    ]
    assert {module.partition(".")[0] for module in shown} >= {"components", "framework"}


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles_and_imports_what_there_is(page):
    for text in blocks(page, "python"):
        compile(text, page, "exec")
        for module, names in imports(text):
            if module != "mylaplace":
                found = importlib.import_module(module)
                assert all(hasattr(found, name) for name in names.split(", ")), (page, names)


def test_every_head_has_a_page():
    from components import heads

    pages = {Path(page).stem for page in PAGES if page.startswith("docs/heads/")}
    assert pages == {*heads.__all__, "index"}
