"""The wall in a real browser: it lives, it says when it does not, and it fits.

Headless Chromium against the fake view. Without a Chromium these tests skip at home and fail in CI.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from services.view.server import create_app
from tests.browser.fake_view import TOPICS, FakeView, Stage, State
from tests.unit.view import rig

pytestmark = pytest.mark.browser

BOARDS = ("overview", "fr", "gov", "eco", "ind")
WAIT_MS = 20_000
#: Every tile has its figure and there is at least one.
TILES_LIVE = """() => {
  const tiles = [...document.querySelectorAll('.tile')];
  return tiles.length > 4 && tiles.every((t) => !t.classList.contains('is-waiting')
    && t.querySelector('.tile-main').textContent.trim() !== '');
}"""


@dataclass
class Wall:
    """A page that shows the wall, and everything that went wrong on it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, board: str = "overview", query: str = "") -> None:
        """Show a board and wait until its figures are there."""
        self.page.goto("about:blank")
        self.streams.clear()
        self.page.goto(f"{self.url}#{board}{'?' + query if query else ''}")
        self.live(board)

    def live(self, board: str = "overview") -> None:
        self.page.wait_for_selector(f"main[data-board={board}]", timeout=WAIT_MS)
        if board == "ind":
            self.page.wait_for_selector("tr[data-series]", timeout=WAIT_MS)
        else:
            self.page.wait_for_function(TILES_LIVE, timeout=WAIT_MS)

    def tile(self, kpi: str) -> Any:
        return self.page.locator(f'.tile[data-kpi="{kpi}"]')

    def evaluate(self, module: str, expression: str) -> Any:
        """The value of an expression over one of the wall's modules, ``m``."""
        return self.page.evaluate(f"import('/static/{module}.js').then((m) => {expression})")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium on PATH: the wall must be seen in CI")
        pytest.skip("no Chromium on PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def fake() -> FakeView:
    return FakeView()


@pytest.fixture(scope="module")
def stage(fake: FakeView) -> Iterator[Stage]:
    with Stage(fake.application) as running:
        yield running


@pytest.fixture
def state(fake: FakeView) -> Iterator[State]:
    """The switches of the fake view, set back afterwards."""
    yield fake.state
    for name, value in vars(State()).items():
        setattr(fake.state, name, value)


@pytest.fixture
def real() -> Iterator[tuple[Stage, rig.Rig]]:
    """The real view over the few events of the view's own tests."""
    filled = rig.filled()
    with Stage(lambda: create_app(filled.api), filled.api.hub.run, filled.progress.run) as running:
        yield running, filled


Show = Callable[..., Wall]


@pytest.fixture
def show(browser: Browser, stage: Stage) -> Iterator[Show]:
    """Makes a fresh viewer; keyword arguments are those of a browser context."""
    contexts = []

    def make(width: int = 1920, height: int = 1080, url: str = stage.url, **options: Any) -> Wall:
        options.setdefault("color_scheme", "dark")
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        wall = Wall(page, url)

        def heard(message: Any) -> None:
            if message.type in ("error", "warning"):
                wall.faults.append(f"{message.type}: {message.text}")

        def asked(request: Any) -> None:
            wall.hosts.add(request.url.split("/")[2])
            if "/api/v1/stream" in request.url:
                wall.streams.append(request.url)

        page.on("console", heard)
        page.on("pageerror", lambda error: wall.faults.append(f"thrown: {error}"))
        page.on("request", asked)
        return wall

    yield make
    for context in contexts:
        context.close()


def test_every_tile_of_every_board_lives_and_the_console_stays_silent(show: Show) -> None:
    wall = show()
    for board in BOARDS:
        wall.open(board)
        if board != "ind":
            wall.page.wait_for_selector(".panel-map .mark", timeout=WAIT_MS)
            wall.page.wait_for_selector(".panel-ranking tbody tr", timeout=WAIT_MS)
            wall.page.wait_for_selector(".tile-line canvas", timeout=WAIT_MS)
            wall.page.wait_for_selector(".panel-trend canvas", timeout=WAIT_MS)
    assert wall.faults == []


def test_the_wall_stands_on_the_real_view(show: Show, real: tuple[Stage, rig.Rig]) -> None:
    stage, filled = real
    wall = show(url=stage.url)
    for board in BOARDS:
        wall.open(board, "t=51")
    wall.open("fr")
    expect(wall.page.locator(".panel-ranking")).to_contain_text("Không rõ (Quảng Trị)")
    wall.open()
    expect(wall.tile("fr.received").locator(".tile-main")).to_have_text("4")
    expect(wall.tile("fr.on_time_rate")).to_contain_text("n = 1")
    expect(wall.tile("gov.on_time_rate").locator(".tile-main")).to_have_text("—")
    expect(wall.page.locator(".urgent-list")).to_contain_text("Thoát nước, ngập")
    filled.stage.report(rig.report("new"))
    expect(wall.tile("fr.received").locator(".tile-main")).to_have_text("5")
    wall.tile("fr.on_time_rate").click()
    expect(wall.page.locator("dialog .bar")).to_have_count(15)
    assert wall.faults == []


def test_nothing_is_asked_of_any_other_host(show: Show, stage: Stage) -> None:
    wall = show()
    wall.open()
    assert wall.hosts - {""} == {stage.url.split("/")[2]}


def test_figures_move_by_themselves_over_at_most_three_streams(show: Show) -> None:
    wall = show()
    wall.open()
    figures = "() => [...document.querySelectorAll('.tile-main')].map((e) => e.textContent).join()"
    before = wall.page.evaluate(figures)
    wall.page.wait_for_function(f"(before) => ({figures})() !== before", arg=before)
    expect(wall.page.locator(".link-state")).to_have_attribute("data-state", "stream")
    assert 1 <= len(wall.streams) <= 3


def test_figures_are_polled_where_streams_are_refused(show: Show, state: State) -> None:
    state.streamless = True
    wall = show()
    wall.open()
    expect(wall.page.locator(".link-state")).to_have_attribute("data-state", "poll")


def test_vietnamese_comes_first_and_english_is_one_click_away_and_kept(show: Show) -> None:
    wall = show()
    wall.open()
    expect(wall.page.locator("html")).to_have_attribute("lang", "vi")
    expect(wall.tile("gov.overdue_now")).to_contain_text("Hồ sơ quá hạn")
    wall.page.click("#lang")
    wall.live()
    expect(wall.page.locator("html")).to_have_attribute("lang", "en")
    expect(wall.tile("gov.overdue_now")).to_contain_text("Cases overdue now")
    wall.page.reload()
    wall.live()
    expect(wall.page.locator("html")).to_have_attribute("lang", "en")
    assert wall.faults == []


@pytest.mark.parametrize(("scheme", "other"), [("dark", "light"), ("light", "dark")])
def test_the_theme_follows_the_system_until_it_is_chosen(
    show: Show, scheme: str, other: str
) -> None:
    wall = show(color_scheme=scheme)
    wall.open()
    expect(wall.page.locator("html")).to_have_attribute("data-theme", scheme)
    wall.page.click("#theme")
    expect(wall.page.locator("html")).to_have_attribute("data-theme", other)
    wall.page.reload()
    wall.live()
    expect(wall.page.locator("html")).to_have_attribute("data-theme", other)


@pytest.mark.parametrize("board", BOARDS)
def test_a_phone_never_scrolls_sideways(show: Show, board: str) -> None:
    wall = show(390, 844, has_touch=True, is_mobile=True)
    wall.open(board)
    assert wall.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("height", [1080, 940])
def test_at_1080p_every_tile_and_panel_stands_in_sight(show: Show, board: str, height: int) -> None:
    wall = show(1920, height)
    wall.open(board)
    hidden = wall.page.evaluate(
        """() => {
          const seen = [];
          for (const e of document.querySelectorAll('.tile, .panel')) {
            const box = e.getBoundingClientRect();
            const bands = e.closest('.bands')?.getBoundingClientRect();
            const floor = Math.min(innerHeight, bands?.bottom ?? innerHeight);
            const wide = [...e.querySelectorAll('.table-box, .scroll, .scroll-x')]
              .some((inner) => inner.scrollWidth > inner.clientWidth + 1);
            if (wide || box.bottom > floor + 1 || box.right > innerWidth || box.height < 40) {
              seen.push(e.dataset.kpi ?? e.className);
            }
          }
          return seen;
        }"""
    )
    assert hidden == []
    assert wall.page.evaluate("document.documentElement.scrollHeight") <= height


def test_null_is_a_dash_and_grey_and_never_zero(show: Show, state: State) -> None:
    state.null_kpis = {"gov.on_time_rate"}
    wall = show()
    wall.open()
    tile = wall.tile("gov.on_time_rate")
    expect(tile.locator(".tile-main")).to_have_text("—")
    expect(tile).to_have_attribute("data-status", "nodata")
    expect(tile).to_contain_text("Chưa có số liệu")
    expect(wall.page.locator(".panel-ranking tbody tr").first).to_contain_text("—")


def test_a_silent_feed_turns_its_tiles_grey_and_only_those(show: Show, state: State) -> None:
    state.silent = {(TOPICS[0], code) for code in ("45", "51", "87", "95")}
    wall = show()
    wall.open()
    expect(wall.tile("fr.received")).to_have_attribute("data-status", "nodata")
    expect(wall.tile("fr.received")).to_contain_text("Nguồn im lặng")
    expect(wall.tile("gov.on_time_rate")).not_to_have_attribute("data-status", "nodata")
    cells = wall.page.locator(f'.freshness td[data-topic="{TOPICS[0]}"].is-nodata')
    expect(cells).to_have_count(4)


def test_a_total_says_when_one_of_its_feeds_is_missing(show: Show, state: State) -> None:
    state.silent = {(TOPICS[1], "95")}
    wall = show()
    wall.open()
    expect(wall.tile("gov.cases_received").locator(".tile-note")).to_have_text("thiếu 1 nguồn")
    expect(wall.tile("gov.cases_received")).not_to_have_attribute("data-status", "nodata")


def test_a_view_that_is_gone_is_said_at_once_and_figures_turn_grey(
    show: Show, state: State
) -> None:
    wall = show()
    wall.open()
    state.down = True
    banner = wall.page.locator("#banner")
    expect(banner).to_be_visible(timeout=WAIT_MS)
    expect(banner).to_contain_text("Mất kết nối")
    expect(banner).to_contain_text(":")
    expect(wall.page.locator("body")).to_have_class("is-frozen")
    expect(wall.page.locator(".link-state")).to_have_attribute("data-state", "lost")
    state.down = False
    expect(banner).to_be_hidden(timeout=WAIT_MS)
    expect(wall.page.locator(".link-state")).to_have_attribute(
        "data-state", "stream", timeout=WAIT_MS
    )


def test_a_dead_broker_and_a_view_that_lags_are_said(show: Show, state: State) -> None:
    wall = show()
    wall.open()
    state.broker = False
    expect(wall.page.locator("#banner")).to_contain_text("Kafka", timeout=WAIT_MS)
    state.broker, state.caught_up = True, False
    expect(wall.page.locator("#banner")).to_contain_text("294.592", timeout=WAIT_MS)
    expect(wall.page.locator("body")).to_have_class("is-frozen")


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_figures_wear_a_ribbon_and_real_ones_do_not(
    show: Show, state: State, simulated: bool
) -> None:
    state.simulated = simulated
    wall = show()
    wall.open()
    ribbon = wall.page.locator("#ribbon")
    if simulated:
        expect(ribbon).to_contain_text("DỮ LIỆU MÔ PHỎNG")
    else:
        expect(ribbon).to_be_hidden()


def test_a_tile_opens_its_trend_its_parts_and_the_way_down_to_a_commune(show: Show) -> None:
    wall = show()
    wall.open()
    wall.tile("gov.on_time_rate").click()
    dialog = wall.page.locator("dialog")
    expect(dialog.locator("h2")).to_have_text("Tỷ lệ giải quyết đúng hạn")
    expect(dialog.locator("canvas")).to_be_visible()
    expect(dialog.locator(".detail-columns section").first.locator(".bar")).to_have_count(3)
    for place in ("Quảng Ngãi", "Mộ Đức", "Đức Hòa"):
        dialog.get_by_role("button", name=place, exact=True).first.click()
        expect(dialog.locator(".crumbs [aria-current]")).to_have_text(place)
    dialog.get_by_role("button", name="Xem Đức Hòa trên màn hình").click()
    wall.live()
    assert "t=" in wall.page.evaluate("location.hash")
    assert wall.faults == []


def test_the_ranking_sorts_by_any_column_with_the_count_beside_a_rate(show: Show) -> None:
    wall = show()
    wall.open()
    rows = wall.page.locator(".panel-ranking tbody tr")
    expect(rows).to_have_count(42)
    expect(rows.first.locator("td").nth(3)).to_contain_text("(")
    wall.page.locator('[data-column="gov.on_time_rate"]').click()
    head = wall.page.locator(".panel-ranking th[aria-sort=ascending]")
    expect(head).to_contain_text("Hồ sơ đúng hạn")
    rates = wall.page.evaluate(
        "[...document.querySelectorAll('.panel-ranking tbody tr')].map((r) => parseFloat("
        "r.cells[4].querySelector('.rank-value').textContent.replace(',', '.')))"
    )
    assert rates == sorted(rates)


def test_the_map_is_worked_from_the_keyboard(show: Show) -> None:
    wall = show()
    wall.open(query="t=51")
    mark = wall.page.locator('.mark[data-code="533"]')
    expect(mark).to_have_attribute("aria-label", re.compile("^Mộ Đức: "))
    mark.focus()
    wall.page.keyboard.press("Enter")
    wall.page.wait_for_function("location.hash.includes('t=533')")
    wall.live()
    expect(wall.page.locator(".panel-ranking tbody tr")).to_have_count(13)


def test_indicators_stand_at_risk_first_and_may_exceed_one_hundred_per_cent(show: Show) -> None:
    wall = show()
    wall.open("ind")
    order = wall.page.evaluate(
        "[...document.querySelectorAll('tr[data-series]')].map((r) => r.className.slice(3))"
    )
    weight = {"bad": 0, "warn": 1, "nodata": 2, "good": 3, "plain": 4}
    assert order == sorted(order, key=weight.__getitem__)
    collected = wall.page.locator('tr[data-series="soc.eid_collected_rate|95|"]')
    expect(collected).to_contain_text("111,3 %")
    expect(wall.page.locator('tr[data-series="idx.dti_rank|528|"]')).to_have_class("is-good")


def test_text_keeps_its_contrast_in_both_themes(show: Show) -> None:
    wall = show()
    for theme in ("dark", "light"):
        wall.open(query=f"theme={theme}")
        poor = wall.page.evaluate(
            """() => {
              const parse = (c) => c.match(/[\\d.]+/g).map(Number);
              const light = (c) => { const f = (v) => (v /= 255) <= 0.03928 ? v / 12.92
                : ((v + 0.055) / 1.055) ** 2.4;
                return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
              const ground = (e) => { for (; e; e = e.parentElement) {
                const c = parse(getComputedStyle(e).backgroundColor);
                if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
              const poor = new Set();
              for (const e of document.querySelectorAll('main *, header *, #ribbon *')) {
                if (e.closest('svg') || ![...e.childNodes].some((n) => n.nodeType === 3
                  && n.textContent.trim())) continue;
                const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
                const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                if (ratio < 4.5) poor.add(`${e.className} ${ratio.toFixed(2)}`);
              }
              return [...poor];
            }"""
        )
        assert poor == [], theme


@pytest.mark.parametrize(
    ("figure", "status"),
    [
        ({"value": None, "target": 0.9, "direction": "up"}, "nodata"),
        ({"value": 0.9, "target": 0.9, "direction": "up"}, "good"),
        ({"value": 0.82, "target": 0.9, "direction": "up"}, "warn"),
        ({"value": 0.8, "target": 0.9, "direction": "up"}, "bad"),
        ({"value": 0.46, "target": 0.5, "low": 0.45, "direction": "up"}, "warn"),
        ({"value": 0.44, "target": 0.5, "low": 0.45, "direction": "up"}, "bad"),
        ({"value": 0, "target": 0, "direction": "down", "base": 0}, "good"),
        ({"value": 14, "target": 0, "direction": "down", "base": 100}, "warn"),
        ({"value": 16, "target": 0, "direction": "down", "base": 100}, "bad"),
        ({"value": 26, "target": 20, "direction": "down"}, "bad"),
        ({"value": 1.113, "target": 1, "direction": "up"}, "good"),
        ({"value": 5, "target": None, "direction": "up"}, "plain"),
    ],
)
def test_a_figure_is_judged_against_target_and_direction(
    judge: Callable[[dict[str, Any]], str], figure: dict[str, Any], status: str
) -> None:
    assert judge(figure) == status


@pytest.fixture(scope="module")
def judge(browser: Browser, stage: Stage) -> Iterator[Callable[[dict[str, Any]], str]]:
    page = browser.new_page()
    page.goto(f"{stage.url}static/icon.svg")
    yield lambda figure: str(
        page.evaluate("(f) => import('/static/judge.js').then((m) => m.judge(f))", figure)
    )
    page.close()


def test_numbers_read_as_in_viet_nam(show: Show) -> None:
    wall = show()
    wall.open()
    expected = {
        "m.full(46123456789, 'vnd')": "46,1 tỷ ₫",
        "m.full(1250000000, 'vnd')": "1,25 tỷ ₫",
        "m.full(73412000, 'vnd')": "73,4 triệu ₫",
        "m.full(182400, 'vnd')": "182.400 ₫",
        "m.full(1.113, 'ratio')": "111,3 %",
        "m.full(null, 'ratio')": "—",
        "m.full(null, 'cases')": "—",
        "m.full(0, 'cases')": "0",
        "m.full(8090, 'cases')": "8.090",
        "m.full(840, 'minutes')": "14,0 giờ",
        "m.duration(3725)": "1 giờ 2 phút",
        "m.duration(null)": "—",
    }
    shown = {source: wall.evaluate("format", source) for source in expected}
    assert shown == expected
