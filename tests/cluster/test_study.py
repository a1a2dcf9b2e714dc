"""A study as array jobs of a real Slurm: rates first, then seeds, then the tables."""

import yaml

from framework.studies import read
from tests.cluster.runs import CLUSTER

pytestmark = CLUSTER

STUDY = {
    "class_path": "Variants",
    "init_args": {
        "recipe": ["--config", "two_peaks", "--config", "smoke"],
        "variants": {"fourier": []},
        "metrics": ["val/nll"],
        "seeds": [1, 2],
        "learning_rates": [0.01, 0.000001],  # of which the first learns something
    },
}


def test_a_study_is_submitted_and_fills_its_table(cluster, tmp_path):
    (tmp_path / "rates.yaml").write_text(yaml.safe_dump({"study": STUDY}, sort_keys=False))
    words = ("overtone", "study", "rates.yaml", "--folder", "here", "--slurm=--time=10")
    said = cluster.call(*words, folder=tmp_path)
    first, second, last = said.partition("submitted ")[2].partition(";")[0].split(", ")
    assert cluster.fact(second, "Dependency").startswith(f"afterany:{first}")
    cluster.wait(last)
    runs = {
        (each.seed, each.learning_rate)
        for each in read(tmp_path / "here" / "results.csv")
        if each.metric == "val/nll"
    }
    assert runs == {(1, 0.01), (1, 0.000001), (2, 0.01)}
    assert "| fourier | 2 | 0.01 of 2" in (tmp_path / "here" / "table.md").read_text()
    outputs = sorted(path.name for path in (tmp_path / "here" / "slurm").glob("*.out"))
    assert outputs == ["report.out", "round-1-0.out", "round-1-1.out", "round-2-2.out"]
