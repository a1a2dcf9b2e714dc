"""Every number of phases has a p that gives exactly it."""

from framework.exchange.shares import phases, share


def test_p_gives_back_the_phases():
    quotients_that_fail = 0
    for width in (*range(1, 300), 1536, 2560, 12289):
        for count in range(width // 2 + 1):
            p = share(count, width)
            assert 0 <= p <= 0.5
            assert int(p * width) == count
            assert abs(p - count / width) < 1e-15
            quotients_that_fail += int(count / width * width) != count
    assert quotients_that_fail > 100  # so it takes more than a division


def test_the_share_of_the_published_models():
    assert share(512, 2048) == 0.25
    assert phases(0.15, 2048) == 307  # the specification's example of a floor
