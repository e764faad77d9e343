"""Push against a Grafana that answers as documented: folder, boards, data source, annotations."""

import gc
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from grafana.cli import grafana
from grafana.push import Grafana, PushError
from grafana.stored import load
from tests.unit.grafana.fake_grafana import TOKEN, Store, fake_grafana

Server = tuple[str, Store]


@pytest.fixture
def server() -> Iterator[Server]:
    with fake_grafana() as running:
        yield running
    # grafana-api never closes its session: have its sockets go while this test still runs
    gc.collect()


def _push(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(grafana, ["push", *arguments])
    return result.exit_code, result.output


def test_all_boards_go_into_the_folder_with_their_data_source(server: Server) -> None:
    url, store = server
    code, out = _push("--url", url, "--token", TOKEN, "--prometheus", "http://prom:9090",
                      "--wall-url", "http://wall/")  # fmt: skip
    assert code == 0, out
    assert store.folders["ioc"]["title"] == "IOC"
    assert set(store.dashboards) == {board["uid"] for board in load()}
    assert store.datasources["IOC Prometheus"]["url"] == "http://prom:9090"
    assert "http://wall/" in str(store.dashboards["ioc-overview"]["templating"])
    assert f"dashboard ioc-overview: {url}/d/ioc-overview/x" in out


def test_pushing_again_replaces_the_boards_and_corrects_the_data_source(server: Server) -> None:
    url, store = server
    assert _push("--url", url, "--token", TOKEN, "--prometheus", "http://old:9090")[0] == 0
    assert _push("--url", url, "--token", TOKEN, "--prometheus", "http://new:9090")[0] == 0
    assert store.datasources["IOC Prometheus"]["url"] == "http://new:9090"
    assert "PUT /api/datasources/uid/ioc-prometheus" in store.asked
    assert store.asked.count("POST /api/folders") == 1


def test_an_annotation_carries_the_tag_that_every_board_shows(server: Server) -> None:
    url, store = server
    code, out = _push("--url", url, "--token", TOKEN, "--annotate", "Bão số 4", "--tags",
                      "storm, qn")  # fmt: skip
    assert code == 0, out
    assert store.annotations[0]["text"] == "Bão số 4"
    assert store.annotations[0]["tags"] == ["ioc", "storm", "qn"]
    assert [note["text"] for note in Grafana(url, TOKEN).annotations(["storm"])] == ["Bão số 4"]
    assert store.dashboards == {}


def test_a_grafana_below_a_path_is_reached_there() -> None:
    with fake_grafana() as (url, store):
        with pytest.raises(PushError, match="404"):
            Grafana(f"{url}/grafana/", TOKEN).version()
        assert store.asked == ["GET /grafana/api/health"]
    gc.collect()


def test_a_wrong_token_is_called_that(server: Server) -> None:
    code, out = _push("--url", server[0], "--token", "wrong")
    assert code == 1
    assert "401" in out
    assert "token is wrong" in out
    assert "wrong\n" not in out.replace("token is wrong", "")


def test_a_token_without_the_right_is_told_which_role_it_needs(server: Server) -> None:
    url, store = server
    store.broken["POST /api/folders"] = (403, '{"message": "Permission denied"}')
    code, out = _push("--url", url, "--token", TOKEN)
    assert code == 1
    assert "Editor" in out


def test_an_address_where_nobody_answers_is_named() -> None:
    code, out = _push("--url", "http://127.0.0.1:27098", "--token", TOKEN)
    assert code == 1
    assert "http://127.0.0.1:27098" in out
    assert "running Grafana" in out
    gc.collect()


@pytest.mark.parametrize("answer", [(200, "<html>hello</html>"), (200, '{"ok": true}')])
def test_something_else_that_answers_is_no_grafana(server: Server, answer: tuple[int, str]) -> None:
    url, store = server
    store.broken["GET /api/health"] = answer
    code, out = _push("--url", url, "--token", TOKEN)
    assert code == 1
    assert "Grafana" in out


def test_a_board_that_is_refused_is_named_with_the_reason(server: Server) -> None:
    url, store = server
    store.broken["POST /api/dashboards/db"] = (
        400,
        '{"message": "Cannot save provisioned dashboard"}',
    )
    code, out = _push("--url", url, "--token", TOKEN)
    assert code == 1
    assert "ioc-" in out
    assert "provisioned" in out


@pytest.mark.parametrize("url", ["127.0.0.1:3000", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(PushError, match="no http or https address"):
        Grafana(url, TOKEN)
