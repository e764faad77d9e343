"""The built boards: committed as built, complete, honest about nulls, and only of known metrics."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from grafana import build, labels, queries
from grafana.boards import indicators
from grafana.metrics import exposed, known, label_of, windows
from grafana.stored import BoardsMissing, drawn, install, load, reasons, with_wall
from schemas import v1
from services.core.kpis import CATALOGUE

BOARDS = load()
WORD = re.compile(r"\b(?:ioc|process|prometheus|scrape|up)[a-zA-Z0-9_:]*\b")
STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
UIDS = [
    "ioc-admin-cases",
    "ioc-data-quality",
    "ioc-ecommerce",
    "ioc-field-reports",
    "ioc-indicators",
    "ioc-overview",
    "ioc-pipeline-health",
]


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def every_panel() -> list[Any]:
    return [
        pytest.param(board, panel, id=f"{board['uid']}:{panel['title']}")
        for board in BOARDS
        for panel in panels(board)
    ]


def test_the_committed_dashboards_are_what_the_code_builds() -> None:
    assert build.drift() == [], "run ioc grafana build"


def test_building_twice_gives_the_same_bytes() -> None:
    assert build.render() == build.render()


def test_a_drifted_a_missing_and_a_left_over_dashboard_are_found_and_mended(
    tmp_path: Path,
) -> None:
    build.write(tmp_path)
    (tmp_path / "dashboards/overview.json").write_text("{}")
    (tmp_path / "dashboards/ecommerce.json").unlink()
    (tmp_path / "dashboards/old.json").write_text("{}")
    wrong = ["dashboards/ecommerce.json", "dashboards/old.json", "dashboards/overview.json"]
    assert build.drift(tmp_path) == wrong
    assert build.write(tmp_path) == wrong
    assert build.drift(tmp_path) == []


def test_the_seven_boards_have_stable_uids_and_the_tag_that_links_them() -> None:
    assert sorted(board["uid"] for board in BOARDS) == UIDS
    for board in BOARDS:
        assert board["tags"] == ["ioc"]
        assert board["timezone"] == "Asia/Ho_Chi_Minh"
        kinds = {link["type"] for link in board["links"]}
        assert kinds == {"dashboards", "link"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_every_board_has_the_shared_variables_and_says_when_it_is_simulated(
    board: dict[str, Any],
) -> None:
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[:5] == ["datasource", "province", "district", "window", "wall_url"]
    banner = next(panel for panel in panels(board))
    assert "ioc_simulated" in banner["targets"][0]["expr"]
    assert "SIMULATED" in json.dumps(banner)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_panels_fill_the_grid_without_overlap_and_have_ids_of_their_own(
    board: dict[str, Any],
) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for place in places:
        assert place["x"] + place["w"] <= 24
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above


@pytest.mark.parametrize(("board", "panel"), every_panel())
def test_a_panel_has_titles_in_both_languages_and_shows_null_as_no_data(
    board: dict[str, Any], panel: dict[str, Any]
) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["datasource"]["uid"] == "${datasource}"
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"] == "không có số liệu"
    if panel["type"] in ("stat", "bargauge"):
        assert panel["options"]["reduceOptions"]["calcs"] == ["last"]
        assert any(m["type"] == "special" for m in defaults["mappings"])


@pytest.mark.parametrize(("board", "panel"), every_panel())
def test_a_panel_asks_only_for_metrics_that_are_declared(
    board: dict[str, Any], panel: dict[str, Any]
) -> None:
    for target in panel["targets"]:
        bare = STRINGS.sub("", target["expr"])
        assert set(WORD.findall(bare)) <= known(), target["expr"]


@pytest.mark.parametrize(("board", "panel"), every_panel())
def test_no_panel_cuts_a_percentage_at_one_hundred_or_gives_dong_decimals(
    board: dict[str, Any], panel: dict[str, Any]
) -> None:
    overrides = panel["fieldConfig"]["overrides"]
    fields = [
        panel["fieldConfig"]["defaults"],
        *({p["id"]: p["value"] for p in override["properties"]} for override in overrides),
    ]
    for field in fields:
        assert "max" not in field
    if any("_vnd" in target["expr"] for target in panel["targets"]) and panel["type"] != "table":
        assert fields[0]["decimals"] == 0


def test_maps_need_no_tile_server() -> None:
    maps = [p for board in BOARDS for p in panels(board) if p["type"] == "geomap"]
    assert len(maps) == 4
    for panel in maps:
        assert panel["options"]["basemap"]["config"]["url"].startswith("data:image/gif")
        assert "http" not in json.dumps(panel["options"])


def test_every_kpi_of_the_catalogue_is_on_some_board() -> None:
    text = "".join(t["expr"] for b in BOARDS for p in panels(b) for t in p["targets"])
    missing = [kpi.name for kpi in exposed() if f"{kpi.metric}{{" not in text
               and f"{kpi.metric}_by_" not in text]  # fmt: skip
    assert missing == []


def test_a_rate_in_a_ranking_stands_beside_the_count_behind_it() -> None:
    for uid in ("overview", "field-reports", "admin-cases"):
        board = next(b for b in BOARDS if b["uid"] == f"ioc-{uid}")
        ranking = next(p for p in panels(board) if p["title"].startswith("Xếp hạng"))
        text = " ".join(target["expr"] for target in ranking["targets"])
        assert "_ratio{" in text
        assert "_ratio_entities{" in text


def test_thresholds_come_from_the_target_and_its_direction() -> None:
    board = next(b for b in BOARDS if b["uid"] == "ioc-overview")
    kpi = CATALOGUE["gov.on_time_rate"]
    panel = next(p for p in panels(board) if p["title"] == kpi.title_vi)
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 0.855, kpi.target]
    assert f"Target: at least {kpi.target:.0%}" in panel["description"]


def test_reasons_for_empty_panels_name_panels_that_exist() -> None:
    marked = reasons()
    assert sorted(marked) == UIDS
    for board in BOARDS:
        ids = {str(panel["id"]) for panel in panels(board)}
        assert set(marked[board["uid"]]) <= ids
        assert all(len(reason) > 10 for reason in marked[board["uid"]].values())


def test_a_window_or_dimension_that_the_view_does_not_expose_cannot_be_asked() -> None:
    assert 'window="now"' in queries.series("fr.open_now")
    with pytest.raises(ValueError, match="7d"):
        queries.series("fr.received", window="7d")
    with pytest.raises(ValueError, match="no dimension"):
        queries.by_dimension("fr.received", "portal")
    assert windows(CATALOGUE["eco.products"]) == ("now",)
    assert label_of("level") == "case_level"


def test_every_code_of_the_contract_has_a_vietnamese_word() -> None:
    for dimension, enums in {
        "category": [v1.ReportCategory],
        "channel": [v1.ReportChannel, v1.CaseChannel],
        "priority": [v1.Priority],
        "status": [v1.ReportStatus, v1.CaseStatus],
        "level": [v1.Level],
        "procedure_field": [v1.ProcedureField],
        "service_level": [v1.ServiceLevel],
        "portal": [v1.Portal],
        "platform": [v1.Platform],
        "product_group": [v1.ProductGroup],
        "seller_kind": [v1.SellerKind],
        "payment": [v1.OrderPayment],
        "step": [v1.Step],
    }.items():
        codes = {code for enum in enums for code in v1.values(enum)}
        assert codes == set(labels.WORDS[dimension]), dimension


def test_every_known_indicator_has_a_domain_on_the_board_and_is_judged_by_its_direction() -> None:
    domains = {entry.domain for entry in indicators.KNOWN.values()}
    assert domains <= set(labels.INDICATOR_DOMAINS)
    for name, entry in indicators.KNOWN.items():
        fewer = re.fullmatch(indicators.DOWN, name) is not None
        assert fewer is (entry.direction == "down"), name


def test_the_wall_address_is_set_everywhere_a_grafana_of_ours_reads_it(tmp_path: Path) -> None:
    environment = install(tmp_path, "http://127.0.0.1:9999/")
    installed = load(tmp_path / "dashboards")
    assert sorted(board["uid"] for board in installed) == UIDS
    for board in installed:
        (wall,) = [v for v in board["templating"]["list"] if v["name"] == "wall_url"]
        assert wall["current"]["value"] == wall["query"] == "http://127.0.0.1:9999/"
    assert environment["IOC_DASHBOARDS_DIR"] == str(tmp_path / "dashboards")
    assert (tmp_path / "provisioning/datasources/ioc.yml").is_file()
    assert with_wall(BOARDS[0], "x") != BOARDS[0]


def test_what_is_drawn_over_time_is_told_to_whoever_writes_the_past() -> None:
    over_time = drawn(known())
    assert "ioc_fr_received_reports" in over_time
    assert "ioc_gov_received_cases_by_portal" not in over_time


def test_a_folder_without_boards_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardsMissing, match=str(tmp_path)):
        load(tmp_path)
