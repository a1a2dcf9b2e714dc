"""`overtone env` names what a report of a bug needs; what answers at once imports no torch."""

import subprocess
import sys

import torch

import cli
from framework.version import VERSION

QUICK = """
import sys, cli
for verb in ("list", "schema", "runs", "report"):
    try:
        cli.main([verb, "--help"])
    except SystemExit as end:
        assert not end.code, verb
assert "torch" not in sys.modules
assert "lightning" not in sys.modules
"""


def test_versions_devices_and_variables_are_printed(capsys, monkeypatch):
    monkeypatch.setenv("OVERTONE_DEBUG", "")
    cli.main(["env"])
    lines = capsys.readouterr().out.splitlines()
    found = {line.split("  ")[0].strip(): line.rpartition("  ")[2] for line in lines}
    assert found["overtone"].startswith(VERSION)
    assert found["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert {"python", "platform", "devices", "plugins", "OVERTONE_DEBUG"} <= found.keys()


def test_help_imports_no_torch():
    subprocess.run([sys.executable, "-c", QUICK], check=True, stdout=subprocess.DEVNULL)
