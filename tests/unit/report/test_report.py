# SPDX-License-Identifier: Apache-2.0
"""The report as a page: complete, self-contained, well-formed, without a hole; and as a browser shows it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from synthetic import QUIET, Cell, Plan, make_run

from orchestrator.analysis.estimator import ESTIMATOR
from orchestrator.analysis.law import SHIPPED
from orchestrator.report.html import render
from orchestrator.report.model import Facts, Grid, Heading, Page, Paragraph, Points, Section, Word
from orchestrator.report.tables import write_tables
from orchestrator.report.wording import number, signed
from orchestrator.schema.samples import SUMMARY
from orchestrator.words import Verdict

VOID = {"meta", "link", "br", "hr", "img", "input"}
ORDER = "result what where exits law life privacy other correctness cost method caveats"
SECTIONS = ORDER.split()
FIGURES = {"phases", "worlds", "shares", "exit-figure", "pages", "exposure", "samples"}
if SHIPPED.exists():  # else it takes more cells than there are here
    FIGURES.add("law-figure")
PLAN = Plan(cells=(Cell(), QUIET), boots=3, iterations=4, warmups=1)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Tree(HTMLParser):
    """Checks nesting, and collects what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.drawn: dict[str, int] = {}
        self.figure = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes.append((tag, given))
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "figure":
            self.figure = str(given.get("id"))
        if self.figure and tag in {"path", "use"} and "svg" in self.open:
            self.drawn[self.figure] = self.drawn.get(self.figure, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()
        if tag == "figure":
            self.figure = ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("results"), PLAN)
    write_tables(folder)
    return folder / "report.html"


def report_of(results: Path, plan: Plan, **options: bool) -> str:
    folder = make_run(results, plan, **options)
    write_tables(folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_whole_and_well_formed(report: Path) -> None:
    tree = Tree(report.read_text(encoding="utf-8"))
    assert tree.open == []
    assert len(tree.ids) == len(set(tree.ids))
    assert [given["id"] for tag, given in tree.attributes if tag == "section"] == SECTIONS
    links = {str(given["href"])[1:] for tag, given in tree.attributes if tag == "a"}
    assert links == set(SECTIONS)


def test_nothing_comes_from_elsewhere_and_nothing_runs(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    tree = Tree(text)
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in tree.attributes}
    for tag, given in tree.attributes:
        for name in ("src", "href", "xlink:href"):
            value = given.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"url\((?!#)", text)
    known = set(tree.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'<use href="#([^"]+)"', text)) <= known


def test_every_figure_is_drawn_and_described(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    tree = Tree(text)
    assert set(tree.drawn) == FIGURES
    assert min(tree.drawn.values()) > 10
    for tag, given in tree.attributes:
        if tag == "svg":
            assert given["role"] == "img"
            assert all(name in tree.ids for name in str(given["aria-labelledby"]).split())
    for description in re.findall(r"<desc [^>]*>(.*?)</desc>", text, re.DOTALL):
        assert re.search(r"\d", description)


def test_no_cell_is_empty_of_sense(report: Path) -> None:
    words = " ".join(Tree(report.read_text(encoding="utf-8")).text)
    assert not re.search(r"\b(nan|NaN|None|inf|undefined|Interval|Verdict\.|World\.|Phase\.)\b", words)
    tables = re.findall(r"<table>.*?</table>", report.read_text(encoding="utf-8"), re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert re.search(r"<caption>[^<]{5,}", table)
        heads = table.count('<th scope="col"')
        spanned = 0
        for line in re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1], re.DOTALL):
            cells = len(re.findall(r"<t[hd]", line))
            assert cells == heads - (1 if spanned else 0), table
            span = re.search(r'rowspan="(\d+)"', line)
            spanned = int(span.group(1)) - 1 if span else max(0, spanned - 1)


def test_the_headline_has_the_known_truth(report: Path) -> None:
    words = " ".join(" ".join(Tree(report.read_text(encoding="utf-8")).text).split())
    assert "the realm executes 14.6" in words
    assert "slower at a margin of 2 %" in words
    assert "indistinguishable at a margin of 2 %" in words
    assert "Published for these ticks: +17 to +23 %" in words
    assert words.count("Published for these ticks") == 1  # not for the other ticks
    assert "+20.26" in words  # the paper's MobileNet, 335.4 / 278.9


def test_what_the_vmm_cannot_see_is_no_zero(report: Path) -> None:
    table = report.read_text(encoding="utf-8").split("Exits by reason</caption>")[1].split("</table>")[0]
    rows = [" ".join(Tree(line).text) for line in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
    assert [line for line in rows if "irq" in line and "in the kernel" in line and "40" in line]
    assert [line for line in rows if "mmio_read" in line and "in the kernel" not in line]


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(("boots", "marked"), [(1, True), (2, False)])
def test_one_boot_is_marked_with_what_its_interval_covers(tmp_path: Path, boots: int, marked: bool) -> None:
    text = report_of(tmp_path, PLAN.but(cells=(QUIET,), boots=boots, iterations=8))
    words = " ".join(" ".join(Tree(text).text).split())
    assert (f"{boots} \u00d7 8*" in words) == marked
    assert ("One boot says nothing about the next one" in words) == marked
    assert ("One boot: the interval covers other stretches of that boot's time, and not other boots" in words) == marked
    assert ("Independent boots, inferences within" in words) == (not marked)


@pytest.mark.usefixtures("unrendered")
def test_too_few_ticks_are_told_with_what_would_do(tmp_path: Path) -> None:
    short = Cell("short-x", icount_shift=0, host_hz=100, user=440_000)
    folder = make_run(tmp_path, PLAN.but(cells=(short,), boot_noise=0.0))
    written = write_tables(folder)
    (sentence,) = written.findings
    told = re.search(r"too few ticks at a margin of 2 %\. ([\d.]+) ticks were to be expected where 5 are needed, and "
                     r"(\d+) iterations a boot would do\.", sentence)  # fmt: skip
    assert told is not None
    assert float(told[1]) == pytest.approx(3 * 4 * 0.0485, rel=0.1)
    assert int(told[2]) == pytest.approx(4 * 5 / float(told[1]), abs=2)
    rows = [row for row in SUMMARY.rows(folder / "summary.csv") if row.needed is not None]
    assert {(row.verdict, row.world) for row in rows} == {(Verdict.TOO_FEW_TICKS, world) for world in ("host", "realm")}
    assert int(told[2]) in {row.needed for row in rows if (row.phase, row.component) == ("infer", "all")}


def test_the_estimator_is_named_and_medians_are_a_description(report: Path) -> None:
    words = " ".join(" ".join(Tree(report.read_text(encoding="utf-8")).text).split())
    assert f"Means and ratios of sums ({ESTIMATOR})" in words
    assert "One inference described: median and quartiles" in words
    assert "the points add up to the overhead above" in words
    assert {row.estimator for row in SUMMARY.rows(report.parent / "summary.csv")} == {ESTIMATOR}


@pytest.mark.usefixtures("unrendered")
def test_every_ratio_of_the_headline_has_its_interval_below(tmp_path: Path) -> None:
    def intervals(boots: int) -> int:
        text = report_of(tmp_path / str(boots), PLAN.but(cells=(QUIET,), boots=boots, iterations=8))
        table = text.split("realm against normal VM</caption>")[1].split("</table>")[0]
        return len(re.findall(r">\[[+\u2212]?\d", table))

    assert intervals(2) == 3  # realm and host over the VM, and load + one
    assert intervals(1) == 2  # a single load has none


def test_provenance_is_all_that_run_yaml_has(report: Path) -> None:
    words = " ".join(" ".join(Tree(report.read_text(encoding="utf-8")).text).split())
    assert "machine.type virt-10.0" in words  # the testbed
    assert f"4,276,000 {hashlib.sha256(QUIET.model.encode()).hexdigest()}" in words
    assert "2026-01-31T12:02:00Z, 89abcdef and uncommitted changes" in words


def test_the_monitor_is_named(report: Path, tmp_path: Path) -> None:
    """Ours, or the one that the testbed file gives instead, by its file and what is in it."""
    assert "The monitor at R-EL2 is this testbed&#39;s own" in report.read_text(encoding="utf-8")
    extra = {"testbed": {"stack": {"rmm": "/srv/tf-rmm.bin"}}, "artifacts": {"stack.rmm": "ab12"}}
    text = report_of(tmp_path, PLAN.but(name="foreign", cells=(QUIET,), extra=extra))
    assert "The monitor at R-EL2 is /srv/tf-rmm.bin (SHA-256 ab12)" in text
    assert "this testbed&#39;s own" not in text


@pytest.mark.usefixtures("unrendered")
def test_what_went_wrong_stands_above_all(tmp_path: Path) -> None:
    text = report_of(tmp_path, PLAN.but(broken=((QUIET.cell_id, "realm"),), el0_off=2))
    alarm = text.split('role="alert"')[1].split("</div>")[0]
    assert "the guest ended: &lt;panic&gt; &amp; so on" in alarm
    assert "boots 0, 1, 2" in alarm
    assert "<panic>" not in text
    assert "Differences at EL0" in text
    assert 'role="alert"' not in report_of(tmp_path, PLAN.but(name="fine", cells=(QUIET,)))
    step = {"cell_id": QUIET.cell_id, "world": "realm", "boot_id": 2, "status": "ok", "note": "2 packets arrived"}
    warned = report_of(tmp_path, PLAN.but(name="warned", cells=(QUIET,), extra={"steps": [step]}))
    assert "in realm, boot 2: 2 packets arrived" in warned.split('role="alert"')[1].split("</div>")[0]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>$x^2$"
    text = report_of(tmp_path, PLAN.but(cells=(Cell("c-1", model=name),)))
    tree = Tree(text)
    assert "script" not in {tag for tag, _ in tree.attributes}
    assert any(name in data for data in tree.text)


@pytest.mark.parametrize("worlds", [("host",), ("vm",), ("realm",), ("vm", "realm")])
def test_any_worlds_make_a_report(tmp_path: Path, worlds: tuple[str, ...]) -> None:
    tree = Tree(report_of(tmp_path, PLAN.but(cells=(QUIET,), worlds=worlds, boots=1, iterations=2), privacy=False))
    sections = [given["id"] for tag, given in tree.attributes if tag == "section"]
    assert "what" in sections
    assert ("exits" in sections) == (worlds == ("vm", "realm"))


def test_a_run_without_samples_has_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "run.yaml").write_text("status: error\ncause: 'EnvError: no space'\n", encoding="utf-8")
    written = write_tables(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert written.findings == ()
    assert "The run ended early: EnvError: no space" in text
    assert "There are no samples." in text


def test_a_page_of_all_kinds_of_items() -> None:
    grid = Grid(
        "A caption", (Heading("a", numeric=False), Heading("b", "s")), (("x", "1"), ("", "2"), ("y", "3")), ("n",)
    )
    items = (Paragraph("p & q"), Points(("one",)), Facts((("k", Word("v", "bad", "below")),)), grid)
    page = Page("t", "s", Word("ok"), ("alarm",), (Section("x", "X", items),))
    text = render(page)
    assert grid.spans == (2, 0, 1)
    assert 'rowspan="2"' in text
    assert "p &amp; q" in text
    assert Tree(text).open == []


def test_numbers_are_short() -> None:
    assert [number(value) for value in (0.2013, 8.8, 123.4, 23600.4)] == ["0.201", "8.8", "123", "23,600"]
    assert [signed(value) for value in (14.594, -0.001, 0.0, -3.421, 185.2)] == [
        *("+14.59", "0.00", "0.00", "\u22123.42", "+185"),
    ]


@pytest.mark.timeout(300)
def test_a_browser_shows_it_without_complaint(report: Path, tmp_path: Path) -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser on this computer: none of {', '.join(BROWSERS)}")
    common = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"),
        *("--disable-background-networking", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"),
    ]
    shot = tmp_path / "shot.png"
    address = report.as_uri()
    taken = subprocess.run(
        [*common, "--window-size=1100,9000", f"--screenshot={shot}", address], capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert taken.returncode == 0, taken.stderr
    assert not [line for line in taken.stderr.splitlines() if "CONSOLE" in line]
    with Image.open(shot) as image:
        assert image.size == (1100, 9000)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    for colour in ("#4477aa", "#c8443c", "#228833", "#66ccee", "#ee9a3a"):  # vm or EL0, realm or RMM, NS-EL2, EL1, EL3
        assert tuple(bytes.fromhex(colour[1:])) in colours
    dumped = subprocess.run([*common, "--dump-dom", address], capture_output=True, text=True, timeout=240, check=False)
    assert dumped.returncode == 0
    assert not [line for line in dumped.stderr.splitlines() if "CONSOLE" in line]
    assert set(Tree(dumped.stdout).drawn) == FIGURES
