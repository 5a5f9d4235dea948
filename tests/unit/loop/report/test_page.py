"""The page: complete at every stage, self-contained, escaped, deterministic."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from pairloop.records import AnnotatorKind, Arm, Choice, Message
from pairloop.report import write_report
from pairloop.report.visible import LIMIT

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Checks nesting while it reads; remembers what tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def test_an_empty_campaign_has_a_page_that_says_how_to_start(toy):
    page = Page(toy.page())
    assert "There are no votes yet" in page.text
    assert "pairloop run" in page.text
    assert not [tag for tag, _ in page.tags if tag == "svg"]


@pytest.mark.parametrize("stage", ["imported", "opened", "one vote", "ties", "skips", "rejected", "one annotator"])
def test_every_stage_has_a_page(toy, pairs, stage):
    made = pairs(30)
    if stage != "imported":
        toy.open()
    if stage == "one vote":
        toy.vote(made[0], "ann", Choice.LEFT)
    for pair in made if stage in ("ties", "skips", "rejected", "one annotator") else ():
        choice = {"ties": Choice.TIE, "skips": Choice.SKIP}.get(stage, Choice.LEFT)
        toy.vote(pair, "ann", choice, arm=Arm.HOLDOUT if stage == "one annotator" else Arm.ACTIVE)
    if stage == "rejected":
        toy.model("reward", {"rejected": "no decisive vote"}, votes=30, accepted=False)
    page = Page(toy.page())
    assert "Not enough votes" in page.text
    assert ("The fit of round 1 was rejected" in page.text) == (stage == "rejected")
    assert ("One annotator" in page.text) == (stage not in ("imported", "opened"))


def test_a_full_campaign_shows_every_section_and_plot(full):
    page = Page(full[1])
    drawn = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg"]
    assert len(drawn) == 8
    assert all(len(label or "") > 20 for label in drawn)
    for words in ("Does active selection pay?", "Krippendorff", "Tuning in round 1: rloo", "People disagreed most"):
        assert words in page.text
    assert "The model takes 20 % of the votes for slips" in page.text
    assert "A note." in page.text


def test_every_estimate_on_the_page_has_interval_and_n(full):
    _, html = full
    whole = r'class="est">[^<]+</span> <span class="ci">\[[^<]+\]</span> <span class="n">n = '
    assert len(re.findall(whole, html)) == html.count('class="est"') > 20


def test_nothing_on_the_page_asks_for_anything(full):
    _, html = full
    page = Page(html)
    anchors = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert "@import" not in html
    for tag, attrs in page.tags:
        assert tag not in ("script", "img", "iframe", "object", "embed", "base", "form", "link")
        assert "src" not in attrs
        assert not [name for name in attrs if name.startswith("on") or ":" in name]
        targets = [attrs["href"]] if attrs.get("href") else []
        targets += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for value in attrs.values()))
        assert all(target.startswith("#") and target[1:] in anchors for target in targets)
    assert "default-src 'none'" in html


def test_ids_are_unique_and_plots_follow_the_colours_of_the_page(full):
    _, html = full
    ids = [attrs["id"] for _, attrs in Page(html).tags if attrs.get("id")]
    assert len(ids) == len(set(ids))
    plots = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--s1)" in plots
    assert not re.findall(r"#[0-9a-f]{6}\b", plots)


def test_tables_have_headers(full):
    for table in re.findall(r"<table.*?</table>", full[1], re.DOTALL):
        assert "<th scope=" in table


def test_two_reports_of_the_same_store_are_the_same_bytes(full, tmp_path):
    toy, html = full
    write_report(toy.store, toy.config, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text("utf-8") == html
    assert (tmp_path / "report.html").stat().st_mode & 0o077 == 0


HOSTILE = (
    "</div><script>alert(1)</script>{{ 7*7 }}{% raw %}]]><!-- "
    "\x1b[31m \u202edetrevni\u202c \u200b\u2066 \x07 &lt; \U000e0041"
)


def test_hostile_texts_are_escaped_and_their_invisible_characters_shown(toy):
    toy.open()
    pair = toy.pair((Message("<b>system", HOSTILE), Message("user", "שלום עולם")), HOSTILE + "1", HOSTILE + "2")
    toy.vote(pair, "<img src=x onerror=alert(1)>\u202e", Choice.LEFT, kind=AnnotatorKind.HUMAN, reason=HOSTILE)
    toy.model("reward", {"notes": [HOSTILE]}, votes=1)
    toy.model("policy", {"tuner": HOSTILE, "stop_reason": HOSTILE})
    with toy.store.transaction():
        toy.store.add_import(HOSTILE, HOSTILE, {}, "<b>at")
    html = toy.page()
    page = Page(html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "b")]
    assert "{{ 7*7 }}" in page.text
    assert "שלום עולם" in page.text
    assert 'dir="auto"' in html
    for character in ("\x1b", "\u202e", "\u202c", "\u200b", "\u2066", "\x07", "\U000e0041"):
        assert character not in html
        assert f"U+{ord(character):04X}" in page.text


def test_long_texts_are_folded_and_endless_ones_cut(toy):
    toy.open()
    words = "word " * 1000
    toy.vote(toy.pair("q", words, "x" * 1_000_000), "ann", Choice.LEFT)
    html = toy.page()
    page = Page(html)
    assert page.text.count("word") >= 1000
    assert "more characters are left out" in page.text
    assert f"{1_000_000 - LIMIT:,}" in page.text
    assert len(html) < 200_000


def test_importing_the_report_loads_nothing_heavy():
    code = "import sys, pairloop.report; print([m for m in ('numpy', 'matplotlib', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _palettes(html):
    """Colours by variable, of the light and the dark scheme."""
    found = [
        dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", html, re.S)
    ]
    return found[0], {**found[0], **found[1]}


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_paper(full, scheme):
    colours = _palettes(full[1])[scheme]
    for name in ("ink", "muted", "link", "act", "look", "note", "s1", "s2", "s3", "s4", "s5"):
        for ground in ("paper", "panel"):
            one, other = sorted((_luminance(colours[name]), _luminance(colours[ground])))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (name, ground)


def test_the_page_says_what_selection_saves_and_what_more_votes_would_bring(full):
    _, page = full
    text = page.replace("\n", " ")
    assert "For the same loss as random votes, active selection needed more than 50 % fewer" not in text
    assert "active selection needed less than 50 % fewer" in text
    assert 'aria-label="Difference of active and random choice over 90 questions' in text
    assert "Going on should pay: about 210 more votes." in text
    assert "twice as many votes: +3.0 points [1.0, 5.0]" in text
    assert "no model can agree with more than 90.0 % of single votes [85.0, 95.0]" in text
