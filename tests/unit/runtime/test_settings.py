"""Settings are read once, and every wrong one is named."""

from pathlib import Path

import pytest

from services.runtime.settings import Settings, SettingsError, load, read


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = read({"HOME": "/people/someone"})
    assert settings == Settings(data_dir=Path("/people/someone/.local/share/ioc"))
    assert settings.bootstrap == "127.0.0.1:9092"
    assert settings.partitions == 4
    assert settings.view_url == "http://127.0.0.1:8080"


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read(
            {
                "IOC_BOOTSTRAP": "localhost",
                "IOC_CLOCK": "sundial",
                "IOC_PARTITIONS": "0",
                "IOC_VIEW_PORT": "http",
                "IOC_NAMESPACE": "a.b",
                "IOC_LOG_LEVEL": "LOUD",
            }
        )
    text = str(caught.value)
    assert len(caught.value.problems) == 6
    for name in ("BOOTSTRAP", "CLOCK", "PARTITIONS", "VIEW_PORT", "NAMESPACE", "LOG_LEVEL"):
        assert f"IOC_{name}" in text


def test_a_required_setting_that_is_missing_is_named_beside_the_wrong_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        read({"IOC_CLOCK": "x"}, require=("metrics_port",))
    assert "IOC_METRICS_PORT is missing" in str(caught.value)
    assert "IOC_CLOCK='x'" in str(caught.value)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "1.5", "٣٣"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(SettingsError):
        read({"IOC_METRICS_PORT": port})


def test_settings_survive_the_way_to_a_child_process() -> None:
    settings = Settings(
        bootstrap="127.0.0.1:21000",
        namespace="drill",
        clock="event",
        partitions=2,
        view_port=21002,
        metrics_port=21010,
        metrics_host="0.0.0.0",
        data_dir=Path("/srv/ioc"),
    )
    assert read(settings.environment()) == settings


def test_names_carry_the_namespace_only_when_there_is_one() -> None:
    assert Settings(namespace="").named("ioc.listing.v1") == "ioc.listing.v1"
    assert Settings(namespace="drill").named("ioc.listing.v1") == "drill.ioc.listing.v1"


def test_a_wrong_setting_ends_the_process_with_code_2_and_says_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IOC_CLOCK", "moon")
    with pytest.raises(SystemExit) as caught:
        load()
    assert caught.value.code == 2
    assert "IOC_CLOCK='moon': expected wall or event" in capsys.readouterr().err
