"""The verbs `generate` and `evaluate`: what they write, and what they refuse before they read."""

import json

import pytest

import cli
from framework.console.errors import UserError
from framework.evaluation.generation import Sampling
from framework.generation import TextModel
from framework.generation.verbs import evaluate
from framework.generation.verbs.generate import GenerateOptions, run


def test_a_prompt_is_continued_on_the_terminal(written, capsys):
    words = ["--prompt", "null", "--length", "40", "--accelerator", "cpu", "--seed", "4"]
    cli.main(["generate", str(written.checkpoint), *words])
    said = capsys.readouterr()
    [text] = TextModel(written.checkpoint).write(["null"], Sampling(40, seed=4))
    assert said.out == f"null{text.text}\n"
    assert "window" not in said.err


def test_nothing_is_printed_of_a_text_that_cannot_be_written(written, capsys, monkeypatch):
    def fail(*_):
        raise ValueError("no context to encode")
        yield

    monkeypatch.setattr(TextModel, "stream", fail)
    with pytest.raises(ValueError, match="no context"):
        run([str(written.checkpoint), "--prompt", "The", "--accelerator", "cpu"], "overtone")
    assert not capsys.readouterr().out


def test_prompts_of_a_file_are_rows(written, tmp_path, capsys):
    prompts = ["The license", "to use " * 30, "no"]
    (tmp_path / "prompts.txt").write_text("\n".join(["The license", "to use " * 30, "", "no", ""]))
    target = tmp_path / "new" / "texts.jsonl"
    words = ["--prompts", str(tmp_path / "prompts.txt"), "--samples", "2", "--length", "9"]
    run(
        [str(written.checkpoint), *words, "--output", str(target), "--accelerator=cpu"], "overtone"
    )
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    texts = TextModel(written.checkpoint).write(prompts, Sampling(9), 2)
    assert rows == [text._asdict() for text in texts]
    said = capsys.readouterr()
    assert "Prompt 2 has" in said.err
    assert "more than the window of the model; its last 32 are read" in said.err
    with pytest.raises(UserError, match=r"texts.jsonl exists already; choose another name"):
        run([str(written.checkpoint), *words, "--output", str(target)], "overtone")
    assert len(target.read_text(encoding="utf-8").splitlines()) == 6


def test_texts_are_printed_with_their_prompts(written, tmp_path, capsys):
    (tmp_path / "p.jsonl").write_text('{"prompt": "The\\nlicense"}\n\n{"prompt": ""}\n')
    words = ["--prompts", str(tmp_path / "p.jsonl"), "--length=5", "--accelerator=cpu"]
    run([str(written.checkpoint), *words], "overtone")
    first, second = TextModel(written.checkpoint).write(["The\nlicense", ""], Sampling(5))
    assert capsys.readouterr().out == (
        f"── {first.tokens} tokens\nThe\nlicense{first.text}\n"
        f"── {second.tokens} tokens\n{second.text}\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no text to continue; give either --prompt TEXT or --prompts FILE"),
        ({"prompt": "a", "prompts": "b"}, "a prompt and a file; give either"),
        ({"prompt": "a", "samples": 0}, "--samples 0 writes nothing; use at least 1"),
        ({"prompt": "a", "batch_size": -1}, "--batch_size -1 writes nothing"),
        ({"prompt": "a", "output": __file__}, "exists already; choose another name"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        GenerateOptions(**options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature=-1"], "Sampling cannot use temperature=-1.0"),
        (["--top_p=0"], "Sampling cannot use top_p=0.0"),
        (["--temperature=0", "--samples=2"], "--samples 2 would all be equal"),
        (["--top_k=many"], "top_k: expected int"),
    ],
)
def test_sampling_that_cannot_be_is_refused_before_the_checkpoint_is_read(words, message):
    with pytest.raises((UserError, ValueError), match=message):
        run(["none.ckpt", "--prompt=a", *words], "overtone")


def test_a_prompt_in_another_encoding_is_refused():
    with pytest.raises(UserError, match=r"--prompt 'na\\udcefve' is not UTF-8 text; write it to"):
        GenerateOptions(prompt="na\udcefve").read()
    assert GenerateOptions(prompt="\udcc3\udca9").read() == ["é"], "UTF-8, taken for bytes"


def test_files_are_evaluated(written, capsys):
    files = [str(written.other), str(written.folder / "text.txt")]
    evaluate.run([str(written.checkpoint), *files, "--accelerator", "cpu"], "overtone")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["file", "tokens", "bytes", "nll", "perplexity", "bits_per_byte"]
    assert [line.split()[0] for line in lines[4:]] == [*files, "all"]
    assert lines[4].split()[2] == f"{written.other.stat().st_size:,}"


def test_a_file_is_evaluated_once(written):
    twice = [str(written.other), f"{written.folder}/../{written.folder.name}/other.txt"]
    with pytest.raises(UserError, match=r"other.txt is named twice, and counts once; drop one"):
        evaluate.run([str(written.checkpoint), *twice], "overtone")


def test_evaluate_needs_files(written):
    with pytest.raises(UserError, match="evaluate needs a checkpoint and files"):
        evaluate.run([str(written.checkpoint)], "overtone")
    with pytest.raises(ValueError, match=r"evaluate: file='gone.txt' is not a file"):
        evaluate.run([str(written.checkpoint), "gone.txt"], "overtone")
    with pytest.raises(UserError, match=r"--batch_size 0 holds no window"):
        evaluate.run([str(written.checkpoint), "gone.txt", "--batch_size=0"], "overtone")
