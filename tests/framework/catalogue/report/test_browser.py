"""A browser shows reports on screens of any width, light and dark, and finds no fault in them."""

import shutil
from itertools import product

import pytest

import cli
from tests.browser import PROGRAM, browser

FAULTS = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
FACTS = """({
    width: innerWidth,
    hidden: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    pictures: [...document.images].map(one => one.complete && one.naturalWidth > 0),
    charts: [...document.querySelectorAll("svg")].map(one => one.clientWidth),
    line: getComputedStyle(document.querySelector(".line")).stroke,
    paper: getComputedStyle(document.body).backgroundColor,
})"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on PATH"),
]


@pytest.fixture
def tab(tmp_path):
    with browser(PROGRAM, tmp_path / "profile") as opened:
        yield opened


def test_pages_fit_their_screens_without_a_fault_or_a_request(run, study, tab, tmp_path):
    for folder in (run, study):
        cli.main(["report", str(folder)])
        page = shutil.copy(folder / "report.html", tmp_path / "page.html")
        shown = {}
        for width, scheme in product((390, 1440), ("light", "dark")):
            tab.open(page.as_uri(), width, scheme)
            facts = shown[scheme] = tab.value(FACTS)
            assert facts["width"] == width
            assert facts["hidden"] <= 0, "nothing lies beside the screen"
            assert facts["pictures"]
            assert all(facts["pictures"])
            assert all(250 < chart < width for chart in facts["charts"])
            assert tab.named(*FAULTS) == []
            requests = [each["request"]["url"] for each in tab.named("Network.requestWillBeSent")]
            assert [url for url in requests if not url.startswith("data:")] == [page.as_uri()]
        assert shown["light"]["line"] != shown["dark"]["line"] != "none"
        assert shown["light"]["paper"] != shown["dark"]["paper"]


def test_the_value_under_the_pointer_is_shown_until_it_leaves(run, tab, tmp_path):
    cli.main(["report", str(run), "--output", str(tmp_path / "page.html")])
    tab.open((tmp_path / "page.html").as_uri(), 1440, "light")
    legend = "document.querySelector('.chart .legend').textContent.replace(/\\s+/g, ' ').trim()"
    step = "document.querySelector('.chart .step').textContent"
    last = tab.value(legend)
    assert last.startswith("val 0.050251 train 0.0")
    place = "(({left, top, width, height}) => [left + 0.15 * width, top + height / 2])"
    tab.value("document.querySelector('.chart').scrollIntoView()")
    x, y = tab.value(f"{place}(document.querySelector('.chart svg').getBoundingClientRect())")
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert tab.value(step) == "step 0"
    assert tab.value(legend) == "val 0.10101 train 1"
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert tab.value(step) == ""
    assert tab.value(legend) == last
