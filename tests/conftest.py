"""What every test starts from: one thread, no seed, no Slurm; and what processes share."""

import gc
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
MOST_WORKERS = 8  # each takes 1.5 GB, and the seconds that collection takes
REMEMBERED: list = []  # one: what command lines of all tests of a worker read of classes

# Before torch is imported, here and in processes that tests start: a worker has one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Compiled code that is scalar: the compiler would try out all kinds of vectors, for ten seconds.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "0")
for name in [name for name in os.environ if name.startswith("SLURM_")]:
    del os.environ[name]  # inside a job, Lightning would take the tests for its ranks


def pytest_xdist_auto_num_workers() -> int:
    """Starts as many workers for `-n auto` as there are cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # which macOS does not have
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Looks for no garbage while tests are collected, which would take a quarter of that time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Spares tests what takes longer than many of them.

    The collector of garbage need not look at thousands of tests, which live to the end anyway.
    torch notes the whole stack with every seed, for a GPU that may still come to use. And command
    lines read the same parts of the same recipes again and again.
    """
    import torch

    from framework.console import class_options
    from framework.importing import restricted

    gc.collect()
    gc.freeze()
    if not torch.accelerator.is_available():
        torch.manual_seed = torch.default_generator.manual_seed
    fresh = class_options.Remembered
    REMEMBERED.append(fresh(class_options.ADAPT))
    class_options.Remembered = lambda adapt: fresh(adapt) if restricted() else REMEMBERED[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Lets no test inherit what another one leaves behind: a seed, and folders of modules.

    `seed_everything` notes a seed in the environment of the ranks, and a command line searches for
    modules where it ran. As fixtures of every test, this would take a quarter of a short one.
    """
    before = list(sys.path)
    done = yield
    os.environ.pop("PL_GLOBAL_SEED", None)
    sys.path[:] = before
    module = sys.modules.get("framework.console.import_path")
    if module and module._searched:
        if {*module.searched()} - {ROOT} and {*module.used()} - {str(ROOT)}:
            REMEMBERED[0]._results.clear()  # of classes that other tests may define otherwise
        module._searched.clear()
    return done


def leave_out(patch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Lets runs render no picture; returns those that they would save."""
    drawn: list[dict[str, object]] = []
    report = "framework.callbacks.report"
    patch.setattr(f"{report}.save", lambda _, figures: drawn.append(dict(figures)))
    patch.setattr(f"{report}.show", lambda *_: None)
    return drawn


@pytest.fixture
def unsaved_pictures(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Lets runs compose their pictures and render none, which takes a third of two steps.

    Returns:
        Pictures by name, of each run that ended.
    """
    return leave_out(monkeypatch)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder once for all workers of a run: `shared(name, fill)` returns it.

    The first worker that asks for a name calls `fill(folder)` with a new, empty folder; others
    wait for it. If `fill` raises, the next one tries again.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # that of the run, which holds one folder for each worker

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = root / "shared" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        complete = folder.with_suffix(".complete")
        with FileLock(folder.with_suffix(".lock")):
            if not complete.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                complete.touch()
        return folder

    return make


def sources() -> list[str]:
    """Lists the files that the project consists of: those of git, or of the sdist that this is."""
    if (ROOT / ".git").exists():
        git = ("git", "-c", "safe.directory=*")  # whoever owns the files
        command = [*git, "ls-files", "--cached", "--others", "--exclude-standard"]
        found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        return [name for name in found.stdout.splitlines() if (ROOT / name).is_file()]
    return (ROOT / "overtone.egg-info" / "SOURCES.txt").read_text().splitlines()


def build_distributions(folder: Path) -> None:
    """Builds the sdist from a copy of the sources, and the wheel from the sdist."""
    for name in sources():
        copy = folder / "sources" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    script = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    command = [sys.executable, "-c", script, str(folder)]
    subprocess.run(command, cwd=folder / "sources", check=True, stdout=subprocess.DEVNULL)
    (sdist,) = folder.glob("*.tar.gz")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(sdist)], check=True)


@pytest.fixture(scope="session")
def sdist(shared: Callable[..., Path]) -> tarfile.TarFile:
    """The source distribution, opened."""
    (built,) = shared("distributions", build_distributions).glob("*.tar.gz")
    return tarfile.open(built)


@pytest.fixture(scope="session")
def wheel(shared: Callable[..., Path]) -> zipfile.ZipFile:
    """The wheel, built from the source distribution and opened."""
    (built,) = shared("distributions", build_distributions).glob("*.whl")
    return zipfile.ZipFile(built)
