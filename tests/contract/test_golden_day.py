"""A simulated day gives the numbers that it gave before."""

import json

from tests.contract.golden_day import FILE, numbers


def test_the_numbers_of_the_golden_day_have_not_changed() -> None:
    golden = json.loads(FILE.read_text(encoding="utf-8"))
    found = numbers()
    assert found["outcomes"] == golden["outcomes"]
    differences = {
        name: (golden["kpis"].get(name), row)
        for name, row in found["kpis"].items()
        if golden["kpis"].get(name) != row
    }
    assert differences == {}
    assert found["kpis"].keys() == golden["kpis"].keys()
