"""KPIs over active listings for all and for every known province at once, by a dimension. Pure.

One pass over the listings for all provinces; equal to ``View.query`` of each.
"""

from dataclasses import dataclass

import numpy as np

from services.core.active import evaluate_listings
from services.core.evaluate import Grouping, field_of, territory_of
from services.core.facts import ECO_CREATED, Fact
from services.core.kpis import Kpi
from services.core.merge import View
from services.core.panes import Ints
from services.core.rows import Label, Row


@dataclass(frozen=True)
class Provinces:
    """The known provinces of a view, and the position of each territory row's province (or -1)."""

    view: View
    codes: tuple[str, ...]
    position: Ints

    @classmethod
    def of(cls, view: View) -> "Provinces":
        territories = view.territories
        codes = tuple(territories.provinces)
        place = {code: i for i, code in enumerate(codes)}
        at = territories.at_level["province"].tolist()
        rows = territories.rows
        position = [-1 if row < 0 else place.get(rows[row].code, -1) for row in at]
        return cls(view, codes, np.array(position, dtype=np.int64))

    def rows(self, kpi: Kpi, dimension: str, now: int) -> list[Row]:
        """Rows by ``dimension`` at ``now`` (ms): those of all, then those of each province."""
        values = ECO_CREATED.fields[dimension].values
        labels = [Label(code, value) for code in self.codes for value in values]

        def assign(fact: Fact, codes: Ints) -> Ints:
            position = self.position[territory_of(codes)]
            value = field_of(fact, dimension, codes)
            return np.where(position < 0, -1, position * len(values) + value)

        view = self.view
        communes = [view._communes_of(Label(code, None)) for code in self.codes for _ in values]
        return view.query(kpi.name, now=now, by=dimension)[1] + evaluate_listings(
            kpi,
            view._active_listings(),
            Grouping(dimension, labels, assign),
            {},
            communes,
            view._is_commune,
        )
