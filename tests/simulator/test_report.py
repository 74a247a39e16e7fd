"""The report: every patient's story is there, drawn and in words, and nothing from the world is taken for HTML."""

from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from service.simulator.judge import Verdict, judge
from service.simulator.report import write_report
from service.simulator.report.lives import Mark
from service.simulator.report.pages import page_name
from service.simulator.report.timeline import scale_of
from tests.simulator.chronicle import DAY, GOOD_END, Chronicle, a_good_session, utc

ALONE = frozenset({"meta", "br", "line", "rect", "circle", "polygon"})


class _Outline(HTMLParser):
    """Which tags a page has, and whether each that opens closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ALONE:
            assert self._open.pop() == tag


def _report(story: Chronicle, folder: Path, *, end: str = GOOD_END) -> Verdict:
    log = story.log(end)
    verdict = judge(log)
    write_report(verdict, log, folder)
    return verdict


def _drawing(page: str) -> ET.Element:
    return ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])  # noqa: S314 -- our own page


def test_a_world_without_fault(tmp_path: Path) -> None:
    _report(a_good_session(), tmp_path / "report")

    index = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    page = (tmp_path / "report" / "p1.html").read_text(encoding="utf-8")
    assert "No rule was broken." in index
    assert "1 patients, 11 texts, 2.494 a patient and week." in index
    assert _Outline(index).links == ["p1.html"]
    assert _Outline(page).links == ["index.html"]
    for step in ("welcome", "booked", "pre_1d", "aftercare_1", "evening", "onset"):
        assert f"Text: {step}" in page


def test_times_are_those_of_the_clinic(tmp_path: Path) -> None:
    _report(a_good_session(), tmp_path)

    page = (tmp_path / "p1.html").read_text(encoding="utf-8")

    assert "Times are those of the clinic, America/Chicago." in page
    assert "<b>Text: pre_1d</b>" in page
    assert '<time datetime="2026-03-17T15:00:00+00:00">Tue 17 Mar 2026 10:00:00</time>' in page


def test_a_violation_is_on_both_pages_and_in_the_drawing(tmp_path: Path) -> None:
    story = a_good_session()
    story.took("2026-03-17 15:04", "pre_1d", attempt=2, **DAY)

    _report(story, tmp_path)

    for name in ("index.html", "p1.html"):
        assert "<b>sent_twice</b>" in (tmp_path / name).read_text(encoding="utf-8")
    drawing = _drawing((tmp_path / "p1.html").read_text(encoding="utf-8"))
    assert len(drawing.findall("{*}g/{*}polygon")) == 1


def test_the_drawing_has_a_mark_for_everything(tmp_path: Path) -> None:
    story = a_good_session()
    story.says("2026-03-17 15:10", "C")
    story.trouble("network_down", "2026-03-17 10:00", "2026-03-17 12:00")
    until = "2026-03-30T12:00:00.000000Z"
    story.note("pause", "2026-03-29 10:00", what="patient", who="p1", reason="in hospital", until=until, by="staff")

    _report(story, tmp_path)

    drawing = _drawing((tmp_path / "p1.html").read_text(encoding="utf-8"))
    marks = Counter((group.get("class") or "").split()[1] for group in drawing.findall("{*}g"))
    assert marks == {"session": 3, "text": 11, "phone": 1}
    shades = [title.text or "" for title in drawing.findall("{*}rect/{*}title")]
    assert shades == [
        "patient paused: in hospital, 29 Mar 05:00 to 30 Mar 07:00",
        "network down, 17 Mar 05:00 to 17 Mar 07:00",
    ]


def test_what_was_not_sent_stands_below_with_its_reason(tmp_path: Path) -> None:
    story = a_good_session()
    story.row(story.label("count_before"), "cancelled", "condition:repeat_session")

    _report(story, tmp_path)

    page = (tmp_path / "p1.html").read_text(encoding="utf-8")
    assert "<td>count_before</td><td>cancelled</td><td>condition:repeat_session</td>" in page


def test_nothing_that_was_said_is_taken_for_html(tmp_path: Path) -> None:
    story = a_good_session()
    story.patient("2026-03-03 12:00", first_name="<b>Robin</b>", last_name='"&"')
    story.says("2026-03-03 13:00", "</p><script>alert(1)</script>")

    _report(story, tmp_path)

    page = (tmp_path / "p1.html").read_text(encoding="utf-8")
    assert _Outline(page).tags["script"] == 0
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;Robin&lt;/b&gt; &quot;&amp;&quot;" in page


@pytest.mark.parametrize(
    ("patient", "name"), [("p0001", "p0001.html"), ("../etc/passwd", "___etc_passwd.html")], ids=["a key", "a path"]
)
def test_a_page_stays_in_its_folder(patient: str, name: str) -> None:
    assert page_name(patient) == name


def test_of_a_crowd_the_broken_ones_and_a_sample_have_pages(tmp_path: Path) -> None:
    story = Chronicle()
    story.clinic("2026-03-01 06:00")
    for n in range(1000):
        story.patient("2026-03-02 15:00", f"p{n}", number=None)
    story.took("2026-03-02 15:30", "welcome", None, patient="p7")

    _report(story, tmp_path, end="2026-03-03 12:00")

    pages = {path.name for path in tmp_path.iterdir()}
    assert "p7.html" in pages
    assert 200 <= len(pages) <= 202
    links = _Outline((tmp_path / "index.html").read_text(encoding="utf-8")).links
    assert {*links, "index.html"} == pages


def test_marks_have_room_and_long_waits_are_short() -> None:
    moments = [utc(at) for at in ("2026-03-01 10:00", "2026-03-01 10:00:01", "2026-03-02 10:00", "2026-05-02 10:00")]

    scale = scale_of([Mark(at, "text", "text", "Text") for at in (*moments, moments[0])])

    gaps = [after - before for before, after in pairwise(scale.places)]
    assert len(gaps) == 3
    assert min(gaps) >= 15
    assert max(gaps) < 150
    assert [scale.x(at) for at in moments] == list(scale.places)
    assert scale.x(utc("2020-01-01 00:00")) == scale.places[0]
    assert scale.x(utc("2030-01-01 00:00")) == scale.places[-1]
    assert scale.places[2] < scale.x(utc("2026-04-01 10:00")) < scale.places[3]
