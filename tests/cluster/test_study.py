"""A study as array jobs of a real Slurm: rates first, then seeds, then the tables."""

import yaml

from framework.studies import read
from tests.cluster.runs import CLUSTER

pytestmark = CLUSTER

RATES = [0.01, 0.000001]
STUDY = {
    "class_path": "Variants",
    "init_args": {
        "recipe": ["--config", "two_peaks", "--config", "smoke"],
        "variants": {"fourier": []},
        "metrics": ["val/nll"],
        "seeds": [1, 2],
        "learning_rates": RATES,
    },
}


def test_a_study_is_submitted_and_fills_its_table(cluster, tmp_path):
    (tmp_path / "rates.yaml").write_text(yaml.safe_dump({"study": STUDY}, sort_keys=False))
    words = ("overtone", "study", "rates.yaml", "--folder", "here", "--slurm=--time=10")
    said = cluster.call(*words, folder=tmp_path)
    first, second, last = said.partition("submitted ")[2].partition(";")[0].split(", ")
    assert cluster.fact(second, "Dependency").startswith(f"afterany:{first}")
    cluster.wait(last)
    results = read(tmp_path / "here" / "results.csv")
    losses = {(r.seed, r.learning_rate): r.value for r in results if r.metric == "val/nll"}
    best = min(RATES, key=lambda rate: losses[1, rate])
    assert losses.keys() == {(1, RATES[0]), (1, RATES[1]), (2, best)}
    assert f"| fourier | 2 | {best!r} of 2" in (tmp_path / "here" / "table.md").read_text()
    outputs = sorted(path.name for path in (tmp_path / "here" / "slurm").glob("*.out"))
    assert outputs == ["report.out", "round-1-0.out", "round-1-1.out", "round-2-2.out"]
