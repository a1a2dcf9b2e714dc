"""Tasks of lm-eval-harness: the numbers that it finds for the same weights in transformers."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

from components.data import TokenBatch
from framework.console.errors import UserError
from framework.exchange.conversion import import_directory
from framework.generation import TextModel
from framework.generation.harness import Harness
from framework.generation.tasks import measure
from framework.generation.verbs import evaluate
from framework.pretrained.tiny import write
from tests.framework.exchange import spoken

ROWS = [
    {"text": "The sky is", "choices": [" blue", " a number", "green "], "answer": 0},
    {"text": "Two and two ", "choices": ["are four", "is a house", "é"], "answer": 1},
    {"text": "so " * 40, "choices": ["on", "what", " long as it is long"], "answer": 2},
]
EVERYTHING = "ABCDEFGHIJKLMNOPRSTUVWXYZ abcdefghijklmnoprstuvwxyz 0123456789 []=+-/"
TASKS = {
    "choose": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
    },
    "read": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}{{choices[0]}}",
        "metric_list": [{"metric": "bits_per_byte"}, {"metric": "word_perplexity"}],
    },
    "answer": {
        "output_type": "generate_until",
        "doc_to_text": "{{text}}",
        "doc_to_target": EVERYTHING,  # of which a random text has some
        "generation_kwargs": {"until": ["q", "\n"], "max_gen_toks": 12, "do_sample": False},
        "metric_list": [{"metric": "chrf"}],
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("lm_eval")
    folder = tmp_path_factory.mktemp("tasks")
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, task in TASKS.items():
        source = {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")}
        shared = {"task": name, "dataset_path": "json", "dataset_kwargs": source}
        text = yaml.safe_dump({**shared, "test_split": "test", **task})
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A Llama with a short window and large weights, in transformers and as a checkpoint."""
    folder = write(tmp_path_factory.mktemp("tiny"), dim=16, depth=1, heads=2)
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(0)
    weights = {name: x + 0.3 * torch.randn_like(x) for name, x in sorted(weights.items())}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    torch.save(import_directory(folder).checkpoint, folder / "llama.ckpt")
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A model whose tokenizer puts a token in front of every text, and ends texts with others."""
    folder = spoken.write(tmp_path_factory.mktemp("begun"), eos_token_id=[2, 4])
    torch.save(import_directory(folder).checkpoint, folder / "llama.ckpt")
    return folder


def theirs(folder, llama):
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(str(llama), device="cpu", batch_size=2, dtype="float32")
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = simple_evaluate(model, tasks=[*TASKS], task_manager=manager, bootstrap_iters=0)
    return {
        (task, key.partition(",")[0]): value
        for task, numbers in found["results"].items()
        for key, value in numbers.items()
        if key.endswith(",none") and "_stderr" not in key
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of theirs
@pytest.mark.parametrize("model", ["llama", "begun"])
def test_scores_are_those_of_transformers(folder, model, request):
    llama = request.getfixturevalue(model)
    found = measure(TextModel(llama / "llama.ckpt"), [*TASKS], folder, batch_size=2)
    numbers = {(one.task, one.metric): one.value for one in found}
    expected = theirs(folder, llama)
    assert {task for task, _ in expected} == {*TASKS}
    assert numbers == pytest.approx(expected, rel=1e-5)
    assert numbers["answer", "chrf"] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of theirs
def test_tasks_are_measured_on_the_terminal(folder, llama, capsys):
    words = ["--tasks", "choose,read", "--task_folder", str(folder), "--limit", "2"]
    evaluate.run([str(llama / "llama.ckpt"), *words, "--accelerator", "cpu"], "overtone")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in TASKS] == [
        ["choose", "acc"],
        ["choose", "acc_norm"],
        ["read", "word_perplexity"],
        ["read", "bits_per_byte"],
    ]


def asked(*args):
    return SimpleNamespace(args=args)


def test_texts_are_read_as_transformers_reads_them(begun):
    """As its class for lm-eval does: with a token in front, but for one that is spelled."""
    from transformers import AutoTokenizer

    read, harness = AutoTokenizer.from_pretrained(begun), Harness(TextModel(begun / "llama.ckpt"))
    for text in ("the sky", "a <s> b </s>", "<s> the sky", ""):
        spelled = text.startswith("<s>")
        assert harness.tok_encode(text) == read.encode(text, add_special_tokens=not spelled)
        for add in (True, False):
            assert harness.tok_encode(text, add) == read.encode(text, add_special_tokens=add)
    assert harness.prefix_token_id == read.bos_token_id
    assert harness.eot_token_id == read.eos_token_id


@torch.no_grad()
def test_what_is_scored_reads_as_much_as_fits_before_it(llama):
    """Bytes are tokens; the window has 64."""
    model = TextModel(llama / "llama.ckpt")
    harness, module = Harness(model, batch_size=2), model.checkpoint.module
    pairs = [("The sky is", " blue"), ("so " * 40, "long as"), ("é", "a")]
    requests = [(pair, *map(harness.tok_encode, pair)) for pair in pairs]
    for (nats, greedy), (_, before, scored) in zip(
        harness._loglikelihood_tokens(requests), requests, strict=True
    ):
        row = torch.tensor([(before + scored)[-65:]])
        batch = TokenBatch(row[:, :-1], row[:, 1:], torch.ones(1, row.shape[1] - 1))
        logits = module(batch).logits[0, -len(scored) :].log_softmax(-1)
        expected = logits.gather(1, torch.tensor(scored)[:, None]).sum()
        assert nats == pytest.approx(expected.item(), rel=1e-5)
        assert greedy == (logits.argmax(-1) == torch.tensor(scored)).all()
    with pytest.raises(ValueError, match=r"likelihood of 65 tokens at once, .* from 1 to 64"):
        harness._loglikelihood_tokens([("", [1], [2] * 65)])


def test_texts_end_before_the_first_of_some_strings(llama):
    pytest.importorskip("lm_eval")
    harness = Harness(TextModel(llama / "llama.ckpt"))
    prompts = ["The sky is", "a" * 90, ""]
    [long, *_] = whole = harness.generate_until(
        [asked(prompt, {"until": [], "max_gen_toks": 12}) for prompt in prompts]
    )
    stop = long[3]
    assert harness.generate_until(
        [asked(prompt, {"until": stop, "max_gen_toks": 12}) for prompt in prompts]
    ) == [text.partition(stop)[0] for text in whole]
    for options, said in (({"max_gen_toks": 64}, "64 tokens"), ({"num_beams": 2}, "num_beams: 2")):
        with pytest.raises(ValueError, match=said):
            harness.generate_until([asked("a", {"until": [], **options})])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.ckpt"], "needs a checkpoint and files"),
        (["a.ckpt", "b.txt", "--tasks=c"], "either files or tasks; drop b.txt, or --tasks"),
        (["a.ckpt", "b.txt", "--limit=3"], "--limit 3 is for tasks; name some with --tasks"),
        (["a.ckpt", "--tasks=c", "--limit=0"], "--limit 0 is too small; use at least 1"),
        (["a.ckpt", "--tasks=c", "--task_folder=none"], "--task_folder none is no directory"),
    ],
)
def test_words_that_cannot_be_are_refused(words, said):
    with pytest.raises(UserError, match=said):
        evaluate.run(words, "overtone")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ValueError, match=r"need the package lm_eval; run .*\[lm-eval\]"):
        evaluate.run(["a.ckpt", "--tasks", "b"], "overtone")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of theirs
def test_an_unknown_task_is_named(folder, llama, tmp_path, monkeypatch):
    # As if these were theirs, which are thousands: an index of them takes ten seconds.
    monkeypatch.setattr("lm_eval.tasks.manager.__file__", str(folder / "manager.py"))
    model, own = TextModel(llama / "llama.ckpt"), tmp_path / "own"
    own.mkdir()
    assert {one.task for one in measure(model, ["choose"], own)} == {"choose"}
    with pytest.raises(ValueError, match=r"There is no task 'none' in lm-eval nor in .*own;"):
        measure(model, ["choose", "none"], own)
