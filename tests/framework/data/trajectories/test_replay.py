"""DQN Replay files that the tests write in their format, against a loop over what was written."""

import gzip
import io

import numpy as np
import pytest

from framework.data.trajectories.replay import DqnReplay

LEAD = 3  # black steps before an episode, as the recorder writes them


def write(folder, number, **arrays):
    """Writes a buffer as the data set has it."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = len(arrays["terminal"])
    for name, values in arrays.items():
        with gzip.open(folder / f"$store$_{name}_ckpt.{number}.gz", "wb") as file:
            np.save(file, values)
    for name, value in (("add_count", steps), ("invalid_range", np.arange(5))):
        with gzip.open(folder / f"{name}_ckpt.{number}.gz", "wb") as file:
            np.save(file, value)


def recorded(lengths, seed, lead=LEAD):
    """Episodes of some lengths as a recorder stores them: the last one is cut."""
    rng = np.random.default_rng(seed)
    parts = []
    for length in lengths:
        frames = rng.integers(1, 256, size=(length, 84, 84)).astype(np.uint8)
        frames[0] = 0  # a game may begin in the dark
        action = rng.integers(1, 18, size=length).astype(np.int32)
        reward = rng.integers(3, size=length).astype(np.float32) * 20
        terminal = (np.arange(length) == length - 1).astype(np.uint8)
        episode = (frames, action, reward, terminal)
        black = [np.zeros((lead, *values.shape[1:]), values.dtype) for values in episode]
        parts += [[np.concatenate(pair) for pair in zip(black, episode, strict=True)]]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    columns[3][-1] = 0
    return dict(zip(("observation", "action", "reward", "terminal"), columns, strict=True))


def by_a_loop(buffer, number, share):
    """Goes through a buffer step by step: the steps of each episode that should be read."""
    episodes, steps, begun = [], [], number == 0
    for step, terminal in enumerate(buffer["terminal"]):
        if begun and (steps or buffer["action"][step]):  # only black steps do nothing here
            steps.append(step)
        if terminal:
            if begun and sum(map(len, episodes)) < share:
                episodes.append(steps)
            steps, begun = [], True
    return episodes


@pytest.fixture
def run(tmp_path):
    """Two buffers of a run, with 35 and 38 steps that are not black."""
    buffers = {0: recorded((6, 9, 8, 12), seed=0), 1: recorded((5, 11, 2, 13, 7), seed=1)}
    for number, buffer in buffers.items():
        write(tmp_path / "replay_logs", number, **buffer)
    return tmp_path, buffers


@pytest.mark.parametrize("transitions", [1, 12, 13, 26, 28, 30, 10_000])
def test_reads_the_first_whole_episodes_of_every_buffer(run, transitions):
    folder, buffers = run
    episodes = DqnReplay(str(folder), transitions=transitions).read().checked()
    share = -(-transitions // 2)
    expected = {number: by_a_loop(buffers[number], number, share) for number in buffers}
    for name in ("observation", "action", "reward"):
        wanted = np.concatenate(
            [buffers[number][name][steps] for number, some in expected.items() for steps in some]
        )
        np.testing.assert_array_equal(getattr(episodes, name), wanted)
    lengths = [len(steps) for some in expected.values() for steps in some]
    np.testing.assert_array_equal(episodes.length, lengths)
    assert episodes.observation.dtype == np.uint8
    assert sum(lengths) >= min(transitions, 6 + 9 + 8 + 11 + 2 + 13)


def test_episodes_without_black_steps_are_whole(tmp_path):
    buffer = recorded((4, 5, 3), seed=2, lead=0)
    write(tmp_path, 0, **buffer)
    episodes = DqnReplay(str(tmp_path), transitions=9).read()
    np.testing.assert_array_equal(episodes.observation, buffer["observation"][:9])
    np.testing.assert_array_equal(episodes.length, [4, 5])


def test_buffers_are_chosen_by_number(run):
    folder, _ = run
    one = DqnReplay(str(folder / "replay_logs"), buffers=[1]).read()
    np.testing.assert_array_equal(one.length, [11, 2, 13])
    assert DqnReplay(str(folder), buffers=[1]).key() != DqnReplay(str(folder), buffers=[0]).key()


def test_the_key_follows_the_content(run):
    folder, buffers = run
    before = DqnReplay(str(folder)).key()
    assert before == DqnReplay(str(folder), environment="overtone/Seaquest-frames").key()
    assert before != DqnReplay(str(folder), transitions=7).key()
    buffers[1]["reward"][0] += 1
    write(folder / "replay_logs", 1, **buffers[1])
    assert DqnReplay(str(folder)).key() != before


def test_nothing_behind_what_is_needed_is_decompressed(run):
    folder, buffers = run
    file = folder / "replay_logs" / "$store$_observation_ckpt.0.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    episodes = DqnReplay(str(folder), buffers=[0], transitions=6).read()
    np.testing.assert_array_equal(episodes.observation, buffers[0]["observation"][3:9])


def spoil(folder, name, content):
    path = folder / "replay_logs" / f"$store$_{name}_ckpt.1.gz"
    path.unlink() if content is None else path.write_bytes(content(path.read_bytes()))


def packed(values):
    file = io.BytesIO()
    np.save(file, values)
    return lambda _: gzip.compress(file.getvalue())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("reward", None, "buffer 1 has no file .*reward_ckpt.1.gz'; download it, or name the"),
        ("action", lambda whole: whole[:-20], r"action_ckpt.1.gz' is damaged \(Compressed file"),
        ("action", lambda whole: b"text" + whole, r"is damaged \(Not a gzipped file"),
        ("terminal", lambda _: gzip.compress(b"text"), r"terminal_ckpt.1.gz' is damaged"),
        (
            "reward",
            lambda whole: whole[:-8] + bytes(4) + whole[-4:],
            r"damaged \(CRC check failed",
        ),
        ("observation", lambda whole: whole[: len(whole) // 2], "observation_ckpt.1.gz' is dam"),
        ("action", packed(np.zeros(7, np.int32)), "buffer 1 differ in length .*action has 7, rew"),
        ("reward", packed(np.zeros((7, 1), np.float32)), r"shape \(7, 1\) instead of float32, on"),
        ("reward", packed(np.zeros(7)), "holds float64 of shape"),
        ("observation", packed(np.zeros((7, 84, 84), np.uint8)), r"uint8 of shape \(53, 84, 84\)"),
    ],
)
def test_mistakes_get_one_sentence(run, name, content, message):
    folder, _ = run
    spoil(folder, name, content)
    with pytest.raises(ValueError, match=message) as caught:
        DqnReplay(str(folder)).read()
    assert str(caught.value).startswith("DqnReplay: ")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_gets_one_sentence(run, tmp_path):
    folder, _ = run
    with pytest.raises(ValueError, match="buffer 7 has no file"):
        DqnReplay(str(folder), buffers=[0, 7]).read()
    with pytest.raises(ValueError, match=r"there is no buffer in .*nowhere'; give the directory"):
        DqnReplay(str(tmp_path / "nowhere")).read()
    with pytest.raises(ValueError, match="transitions=0 is too small; use at least 1"):
        DqnReplay(str(folder), transitions=0)
    write(tmp_path / "cut", 3, **recorded((5, 9), seed=3))
    with pytest.raises(ValueError, match=r"no buffer in .* has a whole episode; read others"):
        DqnReplay(str(tmp_path / "cut"), buffers=[3]).read()
