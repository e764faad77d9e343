"""The events of a day go onto the boards once, in the shape that Grafana's interface takes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.history.annotate import SHIPPED, EventsError, annotate, body, load
from tests.unit.grafana.fake_grafana import TOKEN, Store, fake_grafana


@pytest.fixture
def server() -> Iterator[tuple[str, Store]]:
    with fake_grafana() as found:
        yield found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(annotate, list(arguments))


def test_every_event_has_the_shape_of_the_interface_and_the_tag_of_the_boards() -> None:
    for event in load(SHIPPED / "noru.yml"):
        note = body(event)
        assert note.keys() == {"time", "timeEnd", "tags", "text"}
        assert isinstance(note["time"], int)
        assert note["timeEnd"] >= note["time"]
        assert note["tags"][0] == "ioc"
        assert all(isinstance(tag, str) for tag in note["tags"])
    storm = body(load(SHIPPED / "noru.yml")[0])
    assert (storm["time"], storm["timeEnd"]) == (1_664_254_800_000, 1_664_398_800_000)


def test_the_events_of_a_day_are_written_once(server: tuple[str, Store]) -> None:
    url, store = server
    first = run("noru", "--url", url, "--token", TOKEN)
    assert first.exit_code == 0, first.output
    assert len(store.annotations) == 3
    assert store.annotations[0]["time"] < store.annotations[0]["timeEnd"]
    assert "annotation 1" in first.output
    again = run("noru", "--url", url, "--token", TOKEN)
    assert again.output.count("there already") == 3
    assert len(store.annotations) == 3


def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing() -> None:
    result = run("noru", "--dry-run")
    assert result.exit_code == 0
    assert '"timeEnd": 1664398800000' in result.output


def test_a_wrong_token_is_said(server: tuple[str, Store]) -> None:
    result = run("noru", "--url", server[0], "--token", "wrong")
    assert result.exit_code == 1
    assert "401" in result.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("event: []", "expected one key, events"),
        ("events: [{at: '2022-09-27T12:00:00', text: x}]", r"events\[0\]: a time without"),
        ("events: [{at: soon, text: x}]", r"events\[0\]: Invalid RFC3339"),
        ("events: [{at: '2022-09-27T12:00:00Z', txt: x}]", r"events\[0\]: Object"),
        (
            "events: [{at: '2022-09-27T12:00:00Z', until: '2022-09-27T11:00:00Z', text: x}]",
            r"events\[0\]: until lies before at",
        ),
        ("events: [", "no YAML"),
    ],
)
def test_a_wrong_file_is_named_by_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "events.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EventsError, match=said):
        load(path)
    assert run(str(path), "--dry-run").exit_code == 2


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    result = run("tet-2023")
    assert result.exit_code == 2
    assert "shipped are noru" in result.output
