"""The territory tables that ship with the package."""

from services.runtime.reference import load_territories


def test_four_provinces_42_districts_and_505_communes_are_there() -> None:
    t = load_territories()
    assert set(t.provinces) == {"45", "51", "87", "95"}
    assert len(t.districts) == 42
    assert len(t.communes) == 505


def test_every_commune_lies_in_a_district_of_its_province() -> None:
    t = load_territories()
    for commune in t.communes.values():
        assert t.districts[commune.district_code].province_code == commune.province_code


def test_commune_counts_of_the_table_are_those_of_the_communes() -> None:
    t = load_territories()
    for code, district in t.districts.items():
        listed = sum(c.district_code == code for c in t.communes.values())
        assert listed == district.commune_count


def test_blank_populations_of_quang_tri_are_filled_up_to_its_published_total() -> None:
    t = load_territories()
    here = [d for d in t.districts.values() if d.province_code == "45"]
    assert sum(d.population for d in here) == 629_005
    assert t.districts["471"].population == 400
    assert t.districts["461"].population == 93_787
    # 511,205 less the island's 400, over 111 communes, 18 of them in Vĩnh Linh.
    assert abs(t.districts["464"].population - 510_805 * 18 / 111) < 1


def test_every_district_has_people_and_a_place_in_vietnam() -> None:
    for district in load_territories().districts.values():
        assert district.population > 0
        assert 8 < district.lat < 24
        assert 102 < district.lon < 110
