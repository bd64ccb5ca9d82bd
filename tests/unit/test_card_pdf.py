"""Cards as PDF: the page's numbers, for screen readers and archives, the same bytes every time."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import largest_card as largest
import pytest
import scorecard_fixture as fixture
from pypdf import PdfReader

from expectations import export_cards
from perfhouse import (
    card_fonts,
    card_pdf,
    card_setter,
    card_view,
    cards,
    erase_lake,
    warehouse,
)
from perfhouse.card_reading import read_sheet
from perfhouse.card_sheet import Sheet
from perfhouse.company_cards import Cards, read_cards
from perfhouse.config_reader import Table
from perfhouse.errors import PerfhouseError
from perfhouse.month import Month

if TYPE_CHECKING:
    from pathlib import Path

    from pypdf import PageObject

MONTH = Month("2026-09")
# Source of the typesetter, a command, an escape, quotes; and letters that no font has.
HOSTILE = '#panic("x") #eval("1") \\ "q" $x$ *b* _i_ <l> @r /*c*/ ﷺ\U0001f9ff\ue000\x07ཀ'


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    con = fixture.make(managers=7, names={"M02": HOSTILE, "M03": "Łukasz Жанна Nguyễn 𠮷"})
    con.execute("update kpis.kpi_definitions set definition_en = ? where kpi_id = 'nps'", [HOSTILE])
    found = read_sheet(con, MONTH, {"number": 3})
    con.close()
    return found


@pytest.fixture(scope="module")
def made(sheet: Sheet) -> dict[str, bytes]:
    return {t.manager_id: card_pdf.render(card_pdf.describe(sheet, t), MONTH) for t in sheet.totals}


def read(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content))


def text_of(content: bytes) -> str:
    """Return all words of a file, without any space: where lines end says nothing."""
    return re.sub(r"\s", "", "".join(page.extract_text() for page in read(content).pages))


def test_a_card_says_every_number_that_the_page_says(sheet: Sheet, made: dict[str, bytes]) -> None:
    for total in sheet.totals:
        view, text = card_view.card(sheet, total, 0, True), text_of(made[total.manager_id])
        rows = [row for group in view["groups"] for row in group["rows"]]
        assert len(rows) == len(fixture.KPIS)
        for row in rows:
            seen = [row[n] for n in ("zh", "value", "target", "sample", "median", "weight")]
            seen += [row["score"] or row["state_zh"], row["contribution"]]
            missing = [s for s in seen if s.replace(" ", "") not in text]
            assert not missing, (total.manager_id, row["kpi_id"])
        head = view["head"]
        for said in (
            head["total"] or "不计总分",
            head["coverage"],
            view["manager_id"],
            "2026-09.r3",
        ):
            assert said in text


def test_a_row_has_its_numbers_in_the_order_of_its_columns(made: dict[str, bytes]) -> None:
    shown = r"客户满意度Customersatisfaction70%90%96%98\.3%90%120达标Ontarget60[\d.]+%15\.8%"
    assert re.search(shown, text_of(made["M01"]))


def test_what_moved_or_changed_a_number_stands_below_it(sheet: Sheet) -> None:
    total = next(t for t in sheet.totals if t.manager_id == "M04")
    said = card_pdf.describe(sheet, total)
    rows = [row for group in said["groups"] for row in group["rows"]]
    rows[0] |= {"why": ["较上月 +2.5 个百分点", "+2.5 on last month"]}
    rows[0] |= {"restated": ["更正,原 70%", "restated, was 70%"]}
    said["head"] |= {"restated": ["更正,上一版为 70.0", "Restated, was 70.0"], "provisional": 2}
    said["head"] |= {"reason": "补交答卷"}
    text = text_of(card_pdf.render(said, MONTH))
    for shown in (
        "本月已更正,原因Thismonthwasrestated:补交答卷",
        "较上月+2.5个百分点",
        "+2.5onlastmonth",
        "更正,原70%",
        "Restated,was70.0",
        "2项暂定",
    ):
        assert shown in text
    assert "申诉appeal:剔除2行" in text
    assert "HR-2026-005" in text, "the list of appeals"


def test_the_same_month_gives_the_same_bytes(sheet: Sheet, made: dict[str, bytes]) -> None:
    again = fixture.make(managers=7, names={"M03": "Łukasz Жанна Nguyễn 𠮷"})
    other = read_sheet(again, MONTH, {"number": 3})
    again.close()
    of_m01 = next(t for t in other.totals if t.manager_id == "M01")
    card_pdf._compiler.cache_clear()
    said = card_pdf.describe(sheet, sheet.totals[0])
    assert card_pdf.render(said, MONTH) == made["M01"]
    clean = {**card_pdf.describe(other, of_m01), "definitions": said["definitions"]}
    assert card_pdf.render(clean, MONTH) == made["M01"]
    assert card_pdf.render(said, Month("2026-10")) != made["M01"], "it names its as-of month"


def test_a_card_is_tagged_dated_and_in_a_language(made: dict[str, bytes]) -> None:
    file = read(made["M01"])
    root: Any = file.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "zh-CN"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert len(root["/StructTreeRoot"]["/K"]) > 0
    meta = root["/Metadata"].get_data()
    assert re.search(rb"pdfuaid:part>1<", meta)
    assert re.search(rb"pdfaid:part>2<", meta)
    assert file.metadata is not None
    assert "经理1 · M01 · 一线经理 Front-line manager · 华东1组" in meta.decode()
    assert "2026-09 · M01" in str(file.metadata.title)
    assert file.metadata["/CreationDate"] == "D:20261001000000Z"
    for kind in (b"/S/Table", b"/S/TH", b"/S/Figure", b"/S/H1", b"/S/H2"):
        assert kind in made["M01"]


def test_every_font_is_embedded_and_noto(made: dict[str, bytes]) -> None:
    fonts = {
        str(found["/DescendantFonts"][0].get_object()["/BaseFont"])
        for page in read(made["M03"]).pages
        for found in (f.get_object() for f in page["/Resources"]["/Font"].values())
    }
    assert [f for f in fonts if "+Noto" not in f] == []
    assert made["M03"].count(b"/FontFile") == len(fonts)


def test_a_card_is_one_or_two_pages_of_a4(made: dict[str, bytes]) -> None:
    for content in made.values():
        pages = read(content).pages
        assert 1 <= len(pages) <= 2
        for page in pages:
            size = (float(page.mediabox.width), float(page.mediabox.height))
            assert size == pytest.approx((595.3, 841.9), abs=0.2)


def test_the_largest_card_keeps_two_pages_and_every_number(tmp_path: Path) -> None:
    con = largest.make()
    sheet = read_sheet(con, MONTH, largest.restated(con))
    con.close()
    total = next(t for t in sheet.totals if t.manager_id == largest.MANAGER)
    content = card_pdf.render(card_pdf.describe(sheet, total), MONTH)
    assert len(read(content).pages) == 2
    text, view = text_of(content), card_view.card(sheet, total, 0, True)
    rows = [row for group in view["groups"] for row in group["rows"]]
    assert len(rows) == largest.KPIS
    for row in rows:
        notes = [*(row["why"] or ()), *(row["restated"] or ()), *(row["review"] or ())]
        for said in (row["zh"], row["en"], *notes):
            assert said.replace(" ", "") in text, (row["kpi_id"], said)
    assert len(re.findall(r"76\.5(%?)→75\.4\1 *71\.2–79\.9\1", text)) == largest.KPIS
    assert text.count("76.5→75.471.2–79.9") == 2, "net promoter scores are points"
    marked = sum(row["is_provisional"] for row in rows)
    assert text.count("暂定provisional") == marked > 0
    assert len(view["parts"]["rows"]) == largest.KPIS
    assert len(re.findall(r"\|9288\.5%?·345", text)) == largest.KPIS * 4
    assert "经理签字Manager" in text, "and there is room to sign"


def pieces(page: PageObject) -> list[tuple[str, str]]:
    """Return what is set on a page in its order: words and their font."""
    found: list[tuple[str, str]] = []

    def visit(text: str, _: Any, __: Any, font: Any, ___: Any) -> None:
        if text.strip() and font:
            found.append((text.strip(), str(font["/BaseFont"])))

    page.extract_text(visitor_text=visit)
    return found


def test_the_english_title_is_in_one_piece_and_quotes_are_no_wider_than_its_letters(
    made: dict[str, bytes],
) -> None:
    pages = [pieces(page) for page in read(made["M03"]).pages]
    words = [text for text, _ in pages[0]]
    title = words.index("Customer-service manager scorecard · September 2026")
    assert title == 1, "beside the Chinese one, not behind the names"
    quotes = {font for page in pages for text, font in page if "’" in text}
    assert quotes
    assert all("CJK" not in font for font in quotes)


def test_no_page_ends_between_a_row_and_its_note_or_after_a_groups_name(
    sheet: Sheet,
) -> None:
    said = card_pdf.describe(sheet, sheet.totals[0])
    row, group = said["groups"][0]["rows"][0], said["groups"][0]
    for plain in range(6):  # so many rows have no note: the page ends elsewhere each time
        rows = [
            {**row, "zh": f"指标{n:02}甲", "why": None if n < plain else [f"缘由{n:02}乙", "why"]}
            for n in range(24)
        ]
        groups = [
            {**group, "zh": f"类别{n:02}丙", "rows": rows[n : n + 2]} for n in range(0, 24, 2)
        ]
        file = read(card_pdf.render({**said, "groups": groups}, MONTH))
        pages = [re.sub(r"\s", "", page.extract_text()) for page in file.pages]
        assert len(pages) > 1
        for n in range(24):
            shown = next(p for p in pages if f"指标{n:02}甲" in p)
            assert n < plain or f"缘由{n:02}乙" in shown, (plain, n)
            assert n % 2 or f"类别{n:02}丙" in shown, (plain, n)


def test_texts_are_never_source_and_what_no_font_has_is_a_box(
    sheet: Sheet, made: dict[str, bytes]
) -> None:
    shown = '#panic("x")#eval("1")\\"q"$x$*b*_i_<l>@r/*c*/'
    text = text_of(made["M02"])
    assert text.count(shown) >= 2, "the name, and a definition"
    assert card_fonts.MISSING in text
    assert "Łukasz" in text_of(made["M03"])
    assert "Жанна" in text_of(made["M03"])
    assert "𠮷" in text_of(made["M03"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("王 芳-Ł", "王 芳-Ł"),
        ("a\tb\nc", "a b c"),
        ("\u202eabc\u200b", "abc"),
        ("\x00\ue000\ud800ཀ", "□□□□"),
        ("क्\u200dष", "क्\u200dष"),
    ],
)
def test_letters_that_cannot_be_set_become_boxes(given: str, shown: str) -> None:
    assert card_fonts.printable(given) == shown


def test_nobody_of_the_team_is_on_it(sheet: Sheet, made: dict[str, bytes]) -> None:
    page = str(card_view.card(sheet, sheet.totals[0], 12, True))
    assert "员工1-1" in page
    assert "员工" not in text_of(made["M01"])
    assert "E01" not in text_of(made["M01"])


def test_definitions_are_left_out_where_a_third_page_would_be_needed(sheet: Sheet) -> None:
    said = card_pdf.describe(sheet, sheet.totals[0])
    many = [
        [{**each, "text_en": each["text_en"] * 14} for each in half] for half in said["definitions"]
    ]
    short = card_pdf.render({**said, "definitions": many}, MONTH)
    assert len(read(short).pages) <= 2
    assert re.search("目标版本Targets2026-Q3:.*csat_ratev1·", text_of(short))


def test_files_are_named_as_the_pages_are(sheet: Sheet, tmp_path: Path) -> None:
    one = Sheet(**{**vars(sheet), "totals": sheet.totals[:1]})
    paths = card_pdf.write_all(one, MONTH, tmp_path)
    assert [path.name for path in paths] == ["M01.pdf"]
    with warehouse.connect() as con:  # so an erasure finds whom a file names
        words = " ".join(erase_lake.texts_of(con, paths[0]))
    assert "经理1" in words
    assert "华东1组" in words


def test_many_cards_are_set_by_several_processes_to_the_same_bytes(
    sheet: Sheet, made: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_setter, "processes_for", lambda _: 2)
    monkeypatch.setattr(card_pdf, "_TOLD", 2)
    told: list[str] = []
    paths = card_pdf.write_all(sheet, MONTH, tmp_path, told.append)
    assert {path.stem: path.read_bytes() for path in paths} == made
    assert told == [f"cards as PDF: {n} of 7" for n in (2, 4, 6)]
    wrong = [(f"{n}.pdf", {"title": "王芳"}) for n in range(2_000)]
    with pytest.raises(PerfhouseError, match="a typesetter ended with 1, its cards") as caught:
        card_setter.set_all(wrong, MONTH, tmp_path, 2)
    assert "王芳" not in str(caught.value)


def test_few_cards_are_worth_no_process_of_their_own() -> None:
    assert card_setter.processes_for(199) <= 1
    assert 1 <= card_setter.processes_for(100_000) <= 256


def test_the_exports_gate_wants_one_whole_file_of_the_same_manager_for_each_card(
    sheet: Sheet, made: dict[str, bytes], tmp_path: Path
) -> None:
    ids = sorted(made)
    of_file = export_cards._by_file(ids)

    def faults(wanted: list[str] = ids) -> list[tuple[str, str]]:
        return list(export_cards._faults(tmp_path, wanted, of_file))

    for name, content in made.items():
        (tmp_path / f"{name}.pdf").write_bytes(content)
    assert faults() == []
    assert faults(ids[1:]) == [("M01", export_cards.EXTRA)]
    (tmp_path / "M01.pdf").write_bytes(made["M02"])
    (tmp_path / "M02.pdf").unlink()
    (tmp_path / "M03.pdf").write_bytes(made["M03"][:-9])
    assert faults() == [
        ("M01", export_cards.OTHER), ("M02", export_cards.MISSING), ("M03", export_cards.BROKEN),
    ]  # fmt: skip


def test_a_file_named_by_a_digest_is_known_by_its_title(sheet: Sheet, tmp_path: Path) -> None:
    one = replace(sheet.totals[0], manager_id="a/b & c")
    of_one = Sheet(**{**vars(sheet), "totals": [one]})
    (page,) = cards.file_names(["a/b & c"]).values()
    (paper,) = card_pdf.write_all(of_one, MONTH, tmp_path)
    assert paper.name == cards.paper_name(page)
    for manager, told in (("a/b & c", []), ("a/b & d", [(paper.stem, export_cards.OTHER)])):
        of_file = {paper.stem: manager}
        assert list(export_cards._faults(tmp_path, [paper.stem], of_file)) == told
    assert paper.stem in export_cards._by_file(["a/b & c"])


def test_a_company_says_whether_it_wants_pdf() -> None:
    problems: list[str] = []
    assert read_cards(Table({}, "perfhouse.toml: ", problems)) == Cards(pdf=False)
    assert read_cards(Table({"cards": {"pdf": True}}, "perfhouse.toml: ", problems)).pdf
    assert problems == []
    read_cards(Table({"cards": {"pdf": "yes", "color": 1}}, "perfhouse.toml: ", problems))
    assert [p.split(": ")[1] for p in problems] == ["cards.pdf", "cards.color"]
