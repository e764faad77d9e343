"""The rows of an answer: into which of them each cell goes, by place or by dimensions. Pure."""

from collections.abc import Hashable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from services.core.evaluate import Grouping, field_of, territory_of
from services.core.facts import Fact
from services.core.panes import Ints
from services.core.questions import Question, fact_of
from services.core.rows import Label
from services.core.territory import Territories


def grouping_of(territories: Territories, question: Question) -> Grouping:
    """How a question's answer is split: one row, the places below it, or every combination."""
    row = question.row
    name = (row.index, question.level, question.dimensions)
    inside = territories.at_level[row.level] == row.index
    if question.level is not None:
        children = territories.children(row, question.level)
        position = np.full(len(territories.rows), -1, dtype=np.int64)
        for i, child in enumerate(children):
            position[child.index] = i
        at = territories.at_level[question.level]
        group_of = np.where(inside & (at >= 0), position[np.maximum(at, 0)], -1)
        labels = [Label(c.code, c.code, always=c.known) for c in children]
        return Grouping(name, labels, lambda fact, codes: group_of[territory_of(codes)])
    if question.dimensions:
        return _by_dimensions(name, question, inside)
    group_of = np.where(inside, 0, -1)
    return Grouping(
        name, [Label(row.code, None)], lambda fact, codes: group_of[territory_of(codes)]
    )


def _by_dimensions(name: Hashable, question: Question, inside: NDArray[np.bool_]) -> Grouping:
    names = question.dimensions
    fact = fact_of(question.kpi)
    enums = [fact.fields[name].values for name in names]
    code = question.row.code
    labels = [Label(code, "|".join(combination)) for combination in product(*enums)]

    def assign(fact: Fact, codes: Ints) -> Ints:
        group = field_of(fact, names[0], codes)
        for name, enum in zip(names[1:], enums[1:], strict=True):
            group = group * len(enum) + field_of(fact, name, codes)
        return np.where(inside[territory_of(codes)], group, -1)

    return Grouping(name, labels, assign)
