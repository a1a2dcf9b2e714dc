"""The site is built without a warning, asks no other host for anything, and its links lead on."""

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.browser import PROGRAM, browser
from tests.documentation.shown import CLICKS, QUESTIONS, ROOT, clicks

pytest.importorskip("mkdocs", reason="the extra docs is not installed")
pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Collects what a page links to, what it loads, its anchors and its text."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("img", "script", "source") and "src" in found:
            self.loads.append(found["src"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = site.rglob("*.html")
    return {p.relative_to(site).as_posix(): Page(p.read_text()) for p in found}


def target(site, page, link):
    """Returns the file of the site that a link of a page leads to, and the anchor in it."""
    address, anchor = urldefrag(link)
    start = site if address.startswith("/") else (site / page).parent
    path = (start / unquote(address).lstrip("/")).resolve() if address else site / page
    return (path / "index.html" if path.is_dir() else path), unquote(anchor)


def is_ours(link):
    return not urlsplit(link).scheme


def test_every_link_leads_to_a_page_and_its_anchor(site, pages):
    count = 0
    for page, content in pages.items():
        for link in (*content.links, *content.loads):
            if not is_ours(link) or (page == "404.html" and link.startswith("/")):
                continue
            path, anchor = target(site, page, link)
            assert path.is_file(), (page, link)
            if path.suffix == ".html":
                assert anchor in pages[path.relative_to(site).as_posix()].anchors, (page, link)
            count += 1
    assert count > 2000


def test_no_page_asks_another_host(site, pages):
    for page, content in pages.items():
        assert not [each for each in content.loads if urlsplit(each).netloc], page
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", path.read_text()), path


def test_a_stranger_finds_the_answers_on_the_site(site, pages):
    def linked(page):
        files = (target(site, page, link)[0] for link in pages[page].links if is_ours(link))
        return (path.relative_to(site).as_posix() for path in files if path.suffix == ".html")

    found = clicks("index.html", linked)
    for question, (file, _) in QUESTIONS.items():
        folder = file.removeprefix("docs/").removesuffix(".md").removesuffix("index").rstrip("/")
        assert found[f"{folder}/index.html"] <= CLICKS, question


def test_formulas_are_drawn_without_a_script(site):
    head = (site / "heads" / "FourierHead" / "index.html").read_text()
    assert "<math" in head
    assert "<msubsup>" in head or "<munderover>" in head
    for path in site.rglob("*.html"):
        assert "arithmatex" not in path.read_text(), path
        assert ".. math::" not in path.read_text(), path


def test_docstrings_become_markdown():
    from docs.pages.markup import as_markdown

    text = "Where :math:`a` is\n\n.. math:: a\n    = b\n\nand so on.\n\nSource: A,\n    eq. 2."
    assert (
        as_markdown(text) == "Where $a$ is\n\n$$\na\n= b\n$$\n\nand so on.\n\n*Source:* A, eq. 2."
    )


def test_every_head_is_drawn(site):
    drawn = {path.name.partition("_")[0] for path in (site / "heads").glob("*.svg")}
    pages = {path.parent.name for path in (site / "heads").glob("*/index.html")}
    assert drawn == pages
    assert all(Path(path).stat().st_size < 150_000 for path in (site / "heads").glob("*.svg"))


SCREENS = ((390, "light"), (1440, "dark"))
FACTS = """({
    hidden: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    missing: [...document.images].filter(each => each.complete && !each.naturalWidth).length,
    text: document.querySelector("article").innerText.length,
})"""
ASK = """(() => {
    const field = document.querySelector("input.md-search__input");
    field.focus();
    field.value = "forecast CSV";
    field.dispatchEvent(new Event("input", {bubbles: true}));
    field.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
})()"""
FOUND = "[...document.querySelectorAll('.md-search-result__link')].map(one => one.href)"


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_):
        """Writes nothing."""


@contextmanager
def served(folder):
    """Serves a folder, and yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on PATH")
def test_pages_fit_their_screens_and_are_searched(site, pages, tmp_path):
    shown = sorted(page for page in pages if not page.startswith("reference/"))
    with served(site) as address, browser(PROGRAM, tmp_path / "profile") as tab:
        for page in shown:
            for width, scheme in SCREENS:
                tab.open(f"{address}/{page}", width, scheme)
                facts = tab.value(FACTS)
                assert facts["hidden"] <= 0, (page, width)
                assert facts["missing"] == 0, (page, width)
                assert facts["text"] > 10, page
                assert tab.named("Runtime.exceptionThrown", "Runtime.consoleAPICalled") == []
                asked = [each["request"]["url"] for each in tab.named("Network.requestWillBeSent")]
                assert all(url.startswith((address, "data:")) for url in asked), page
        tab.open(f"{address}/index.html", 1440, "light")
        tab.value(ASK)
        end = time.monotonic() + 20
        while not (found := tab.value(FOUND)) and time.monotonic() < end:
            time.sleep(0.2)
        assert any("/own/" in link for link in found), found
    assert len(shown) > 30
