"""The page as a file: whole, strict, equal for equal runs, and never broken by a picture."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from matplotlib.figure import Figure

from src.v2.figures.style import bare_figure
from src.v2.page import render
from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Answer, Fact, Panel, Section, Table
from src.v2.page.render import Page, answer_lines, is_compact, lone_parts, make_page, write_report
from src.v2.page.report_json import clean, raw, written
from src.v2.tests.page.made_up import HOSTILE, IDENTITY, METRICS, SETTINGS, frame_sections, make_run

NAN = float("nan")


def draw() -> Figure:
    figure = bare_figure(4.6, 3)
    figure.subplots().plot([1, 2], [2, 1])
    return figure


def fail() -> Figure:
    raise ZeroDivisionError("<b>no rows</b>")


def make_section(*content: Panel | Table, name: str = "own") -> Section:
    return Section(name, "Own", "What is it?", "Made-up rows.", content)


def make_panel(name: str = "one", **more: Any) -> Panel:
    facts = {"mean": Fact(-0.0123, "ic"), "none": Fact(NAN, "ic"), "day": Fact(dt.date(2024, 1, 2))}
    return Panel(name, "Why?", Answer("Mean {mean}, {none}, {day}.", facts), **more)


def page_of(*content: Panel | Table) -> Page:
    return make_page((make_section(*content),), make_run(), IDENTITY, "Title")


def test_a_fact_carries_its_raw_value_and_its_place() -> None:
    html = page_of(make_panel()).html
    assert (
        '<data class="fact" value="-0.0123" data-fact="panels.one.mean">\N{MINUS SIGN}0.0123</data>'
    ) in html
    assert '<data class="fact" value="null" data-fact="panels.one.none">–</data>' in html
    assert '<data class="fact" value="2024-01-02" data-fact="panels.one.day">2024-01-02</data>' in (
        html
    )


def test_the_record_holds_what_the_page_shows() -> None:
    table = Table("t", "Rows", ("a", "b"), (("x", Fact(1.5)), (HOSTILE, Fact(NAN))))
    record = page_of(make_panel(), table).record
    assert record["schema_version"] == 1
    assert record["panels"]["one"] == {
        "section": "own",
        "question": "Why?",
        "answer": "Mean -0.0123, –, 2024-01-02.",
        "facts": {"mean": -0.0123, "none": None, "day": "2024-01-02"},
    }
    assert record["tables"]["t"]["rows"] == [["x", 1.5], [HOSTILE, None]]
    assert record["identity"]["model"] == IDENTITY.model
    assert record["verdict"]["word"] == "no evidence"


def test_the_record_holds_the_evaluation_the_explanation_and_the_details() -> None:
    run = make_run()
    record = json.loads(written(make_page((), run, IDENTITY, "Title").record))
    assert record["evaluation"]["ranking"]["rank_ic"]["mean"] == run.evaluation.ranking.rank_ic.mean  # type: ignore[union-attr]
    features = record["explanation"]["importance"]["features"]
    assert [each["name"] for each in features] == [
        each.name for each in run.explanation.importance.features
    ]
    assert record["detail"]["decay"][0]["rank_ic"]["low"] == run.detail.decay[0].rank_ic.low
    assert "daily" not in record["detail"] and "quantile_paths" not in record["detail"]
    assert record["detail"]["worst"][0]["date"] == "2020-01-01"


def test_the_json_is_strict() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    panel = Panel("p", "?", Answer("", {"inf": Fact(float("inf")), "np": Fact(np.float64(2.5))}))
    count = Fact(np.int64(3), "count")  # type: ignore[arg-type]
    text = written(page_of(panel, Table("t", "", ("a",), ((count,),))).record)
    read = json.loads(text, parse_constant=refuse)
    assert read["panels"]["p"]["facts"] == {"inf": None, "np": 2.5}
    assert read["tables"]["t"]["rows"] == [[3]]


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=5), st.dates()))
def test_a_raw_value_is_read_back_exactly(value: Any) -> None:
    text = raw(value)
    if isinstance(value, float):
        read = json.loads(text)
        assert read == value if np.isfinite(value) else read is None
    elif isinstance(value, int):
        assert json.loads(text) == value
    else:
        assert text == (clean(value) if isinstance(value, str) else value.isoformat())


def test_equal_runs_give_equal_bytes_whatever_the_order_of_their_mappings(tmp_path: Path) -> None:
    run = make_run()

    def turned(mapping: Any) -> Any:
        if not isinstance(mapping, dict):
            return mapping
        return {key: turned(mapping[key]) for key in reversed(mapping)}

    other = dataclasses.replace(make_run(), settings=turned(SETTINGS), metrics=turned(METRICS))
    same = dataclasses.replace(IDENTITY, versions=turned(dict(IDENTITY.versions)))
    pages = [
        make_page(frame_sections(each, identity), each, identity, "Title")
        for each, identity in ((run, IDENTITY), (other, same))
    ]
    files = [write_report(page, tmp_path / str(place)) for place, page in enumerate(pages)]
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == [
        "report.html",
        "report.json",
    ]


def test_another_number_gives_another_page() -> None:
    run = make_run()
    other = dataclasses.replace(run, training_rows=run.training_rows + 1)
    pages = [make_page(frame_sections(each), each, IDENTITY, "T").html for each in (run, other)]
    assert pages[0] != pages[1]


def test_drawing_a_page_leaves_pyplot_alone() -> None:
    before = "matplotlib.pyplot" in sys.modules
    page_of(make_panel(draw=draw))
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_picture_that_fails_is_named_and_the_answer_stays() -> None:
    page = page_of(make_panel(draw=fail), make_panel("two", draw=draw, alt="A line."))
    assert page.record["pictures_failed"] == {"one": "ZeroDivisionError: <b>no rows</b>"}
    assert "could not be drawn: ZeroDivisionError: &lt;b&gt;no rows" in page.html
    assert 'data-fact="panels.one.mean"' in page.html
    assert page.html.count('<svg class="plot"') == 1 and ">A line.</desc>" in page.html


def test_every_text_is_escaped() -> None:
    table = Table(
        "t", HOSTILE, (HOSTILE, "b"), ((HOSTILE, Fact(HOSTILE)),), note=HOSTILE, folded=True
    )
    panel = Panel("p", HOSTILE, Answer("{x}", {"x": Fact(HOSTILE)}), draw, HOSTILE, HOSTILE)
    section = Section("own", HOSTILE, HOSTILE, HOSTILE, (panel, table))
    identity = RunIdentity(HOSTILE, HOSTILE, IDENTITY.timestamp, HOSTILE, {HOSTILE: HOSTILE})
    html = make_page((section,), make_run(), identity, HOSTILE).html
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 14


def test_the_page_names_no_address_and_runs_nothing() -> None:
    run = make_run()
    html = make_page(frame_sections(run), run, IDENTITY, "Title").html
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\((?!#)| on[a-z]+=", html)
    assert "default-src 'none'" in html
    assert len(html) < 1_000_000


@pytest.mark.parametrize(
    "content",
    [
        (make_panel("a"), make_panel("a")),
        (make_panel("a"), Table("a", "", (), ())),
        (make_panel("A b"),),
    ],
)
def test_names_that_would_break_anchors_are_refused(content: tuple[Panel | Table, ...]) -> None:
    with pytest.raises(ValueError, match="names of a page"):
        page_of(*content)


def test_lines_of_an_answer_keep_braces_and_facts() -> None:
    answer = Answer("a {x}\n{{b}} {x}{y}\n", {"x": Fact("1\n2"), "y": Fact(3)})
    named = [[name for _, name, _ in line if name] for line in answer_lines(answer)]
    assert named == [["x"], ["x", "y"], []]
    joined = "\n".join(
        "".join(text + (fact.text if fact else "") for text, _, fact in line)
        for line in answer_lines(answer)
    )
    assert joined == answer.text


def test_a_fact_that_the_answer_lacks_is_an_error() -> None:
    with pytest.raises((KeyError, UndefinedError)):
        page_of(Panel("p", "?", Answer("{missing}", {})))


def test_numbers_stand_to_the_right_where_a_column_holds_nothing_else() -> None:
    table = Table("t", "T", ("n", "v"), (("a", Fact(1)), ("b", Fact(2))))
    mixed = Table("m", "M", ("n", "v"), (("a", Fact(1)), ("b", "two")))
    assert render.number_columns(table) == (False, True)
    assert render.number_columns(mixed) == (False, False)


@pytest.mark.parametrize(
    "table, fits",
    [
        (Table("t", "T", ("a", "b"), (("x", Fact(1)),)), True),
        (Table("t", "T", ("a", "b"), (("x", "long " * 20),)), False),
        (Table("t", "T", ("a", "b"), (("x", Fact(1)),), folded=True), False),
        (Table("t", "T", ("a", "b", "c"), (("x", "y", "z"),)), False),
    ],
)
def test_a_short_table_of_two_columns_stands_beside_another(table: Table, fits: bool) -> None:
    assert is_compact(table) is fits


def test_a_part_without_a_neighbour_is_alone() -> None:
    def narrow(name: str) -> Panel:
        return make_panel(name, draw=draw)

    wide = make_panel("wide", draw=draw, wide=True)
    said = make_panel("said")
    table = Table("t", "T", ("a", "b"), (("x", Fact(1)),))
    cases: list[tuple[tuple[Panel | Table, ...], set[str]]] = [
        ((), set()),
        ((narrow("a"),), {"a"}),
        ((narrow("a"), narrow("b")), set()),
        ((narrow("a"), wide, narrow("b"), table, narrow("c"), said), {"a", "c"}),
        ((wide, said), set()),
    ]
    for content, lone in cases:
        assert lone_parts(make_section(*content)) == lone


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_of(make_panel())
    write_report(page, tmp_path)
    old = (tmp_path / "report.html").read_bytes()

    def refuse(*paths: Path) -> None:
        raise OSError("disk")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk"):
        write_report(dataclasses.replace(page, html="new"), tmp_path)
    assert (tmp_path / "report.html").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 2
