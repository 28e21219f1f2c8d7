"""Pages: whole in themselves, nothing of a name becomes markup, the same bytes every time."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pandas as pd
import pytest

from hwsim.explore.result import SweepResult
from hwsim.report.html import Fact, Section, page_text, write_report
from hwsim.report.plot.pareto import pareto_figure
from hwsim.report.sweep_page import MOST_ROWS, sweep_report
from hwsim.spec.errors import UsageError
from tests.support.designs import design_table

HOSTILE = "<script>alert('x')</script>\"'&<img src=http://evil.example/x onerror=alert(1)>--><!--]]>"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and texts, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts, self.ids = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def cells(page, tag="td"):
    return [attrs for name, attrs in page.tags if name == tag]


def sweep(frame, objectives=None):
    return SweepResult(
        "sweep",
        tuple(frame.itertuples(index=False, name=None)),
        tuple(frame.columns),
        objectives or {"energy_mj": "min", "latency_ms": "min"},
        len(frame),
    )


def figure(frame=None, title="t"):
    return pareto_figure(
        design_table(points=12, front=4) if frame is None else frame, "energy_mj", "latency_ms", title=title
    )


def test_page_is_well_formed_and_fetches_nothing():
    text = page_text(
        "T", [Fact("a", "1", "r")], [Section("S", ["p"], figure(), "c", design_table()), Section("U", figure=figure())]
    )
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    used = [
        value
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in ("src", "href", "xlink:href", "data", "action")
    ]
    assert used
    assert all(value.startswith("#") and value[1:] in page.ids for value in used)
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.tags}
    assert "url(http" not in text
    assert "@import" not in text
    assert ("html", {"lang": "en"}) in page.tags
    assert any(attrs.get("name") == "viewport" for _, attrs in page.tags)
    policy = next(
        attrs["content"] for _, attrs in page.tags if "content-security-policy" in str(attrs.get("http-equiv")).lower()
    )
    assert policy.startswith("default-src 'none'")


def test_pictures_refer_to_their_own_parts():
    text = page_text("T", [], [Section("A", figure=figure()), Section("B", figure=figure())])
    first, second = (ET.fromstring(part.replace("xlink:href", "href")) for part in svgs(text))
    ids = [{e.get("id") for e in svg.iter() if e.get("id")} for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((first, second), ids, strict=True):
        assert {e.get("href")[1:] for e in svg.iter() if e.get("href")} <= own
    assert first.get("role") == "img"
    assert first.get("aria-label") == "A"


def svgs(text):
    return ["<svg" + part.split("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]


def test_hostile_names_stay_text():
    frame = design_table(points=12, front=4).assign(design_id=HOSTILE, workload=HOSTILE, pe=HOSTILE, reason=HOSTILE)
    frame.loc[0, "status"] = "failed"
    frame = frame.rename(columns={"array.rows": HOSTILE})
    drawn = figure(frame, title=HOSTILE)
    text = page_text(HOSTILE, [Fact(HOSTILE, HOSTILE, HOSTILE)], [Section(HOSTILE, [HOSTILE], drawn, HOSTILE, frame)])
    page = Page(text)
    assert page.open == []
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert HOSTILE in page.texts
    assert "<!--" not in text
    assert cells(page)


def test_hostile_sweep(tmp_path):
    frame = design_table(points=12, front=4).assign(design_id=HOSTILE, workload=HOSTILE)
    frame["reason"] = HOSTILE
    frame.loc[0, "status"] = "failed"
    page = Page(sweep_report(sweep(frame), {HOSTILE: figure(frame)}, tmp_path / "r.html").read_text())
    assert page.open == []
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.texts.count(HOSTILE) > 10


def test_numbers_stand_right():
    page = Page(
        page_text(
            "T", [], [Section("S", table=pd.DataFrame({"name": ["a"], "energy_mj": [1234.5], "why": ["w" * 50]}))]
        )
    )
    assert cells(page, "th") == [
        {"scope": "col", "title": "name"}, {"scope": "col", "class": "n", "title": "energy_mj"}, {"scope": "col", "title": "why"},
        {"scope": "row"},
    ]  # fmt: skip
    assert cells(page) == [{"class": "n"}, {"class": "long"}]
    assert "Energy (mJ)" in page.texts
    assert "1,234" in page.texts


def test_same_contents_same_bytes(tmp_path):
    frame = design_table(points=12, front=4)
    paths = [sweep_report(sweep(frame), {"Pareto": figure()}, tmp_path / f"{i}.html") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.html", "1.html"]


def test_page_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        write_report(tmp_path / "missing" / "r.html", "T", [], [])


def rows(text):
    """Return the tables of a page as lists of rows of texts."""
    found, page = [], Page(text)
    body = text.split("<table>")[1:]
    assert len(body) == sum(tag == "table" for tag, _ in page.tags)
    for part in body:
        table = part.split("</table>")[0]
        found.append(
            [
                [c.split(">", 1)[1] for c in row.replace("</th>", "</td>").split("</td>")[:-1]]
                for row in table.split("<tr>")[1:]
            ]
        )
    return found


def test_sweep_page_tells_what_came_out(tmp_path):
    frame = design_table(points=30, front=6)
    frame.loc[frame.index[-2:], "status"] = ["infeasible", "excluded"]
    frame.loc[frame.index[-2:], "reason"] = ["too small", "too large"]
    result = sweep(frame, {"energy_mj": "min", "sqnr_db": "max"})
    text = sweep_report(result, {"Pareto": figure(frame)}, tmp_path / "r.html").read_text()
    page = Page(text)
    assert {"58 of 60", "1 excluded and 1 infeasible", "least energy and most SQNR"} <= set(page.texts) or (
        {"58 of 60", "1 infeasible and 1 excluded", "least energy and most SQNR"} <= set(page.texts)
    )
    best, prefill, decode, left_out = rows(text)
    ok = frame[frame["status"] == "ok"]
    for row in best[1:]:
        designs = ok[ok["workload"] == row[0]]
        name, pick = ("energy_mj", "min") if row[1] == "Energy (mJ)" else ("sqnr_db", "max")
        assert float(row[2].replace(",", "")) == pytest.approx(getattr(designs[name], pick)(), rel=5e-4)  # four digits
    front = result.front()
    for table, workload in ((prefill, "prefill"), (decode, "decode")):
        expected = front[front["workload"] == workload].sort_values("energy_mj")["design_id"].tolist()
        assert [row[0] for row in table[1:]] == expected
        assert table[1][1].startswith("best energy")
    assert [row[2:] for row in left_out[1:]] == [["infeasible", "too small"], ["excluded", "too large"]]


def test_sweep_without_any_result(tmp_path):
    frame = design_table(points=5, front=2).assign(
        status="infeasible", reason="no room", energy_mj=None, latency_ms=None
    )
    page = Page(sweep_report(sweep(frame), {}, tmp_path / "r.html").read_text())
    assert "No design of this sweep has a result." in page.texts
    assert "0 of 10" in page.texts
    assert page.texts.count("no room") == 10


def test_long_tables_are_cut_and_say_so(tmp_path):
    frame = design_table(points=150, front=2).assign(status="failed", reason="broken")
    text = sweep_report(sweep(frame), {}, tmp_path / "r.html").read_text()
    assert text.count("broken") == MOST_ROWS
    assert f"The first {MOST_ROWS} of 300 rows" in text


def test_unfinished_points_are_counted(tmp_path):
    frame = design_table(points=5, front=2)
    result = SweepResult(
        "s", tuple(frame.itertuples(index=False, name=None)), tuple(frame.columns), {"energy_mj": "min"}, 12
    )
    assert "2 points unfinished" in sweep_report(result, {}, tmp_path / "r.html").read_text()
