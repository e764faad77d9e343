"""Field reports of one province and local day, and their states. Pure.

Columns as in ``cases``: one row per report, one column per step (``report_births`` decides them).
Legal paths (domain 2.3)::

    received -> verifying -> rejected | duplicate | referred | assigned
    assigned -> in_progress [-> extended -> in_progress] -> answered [rated]
    answered -> reopened -> assigned -> in_progress -> answered [rated]  (once, when dissatisfied)

A reopened report has no answer until it is answered again: ``answered_at``, ``closed_at`` and the
rating are null in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from schemas import v1
from services.simulation.instants import iso, yymmdd
from services.simulation.provinces import Province

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SOURCE = "/ioc/sim/field-report"
CATEGORIES: tuple[str, ...] = get_args(v1.ReportCategory)
CHANNELS: tuple[str, ...] = get_args(v1.ReportChannel)
PRIORITIES: tuple[str, ...] = get_args(v1.Priority)
SLOTS = (
    "received", "verifying", "decided", "in_progress", "extended", "resumed", "answered",
    "rated", "reopened", "reassigned", "again_in_progress", "answered_again", "rated_again",
)  # fmt: skip
(
    RECEIVED, VERIFYING, DECIDED, IN_PROGRESS, EXTENDED, RESUMED, ANSWERED,
    RATED, REOPENED, REASSIGNED, AGAIN, ANSWERED_AGAIN, RATED_AGAIN,
) = range(len(SLOTS))  # fmt: skip
LONGEST_LIFE_DAYS = 75

_AGENCY: Mapping[str, str] = MappingProxyType(
    {
        "road": "transport",
        "lighting_power": "power",
        "waste_env": "environment",
        "drainage_flood": "drainage",
        "urban_order": "urban-order",
        "security_traffic": "police",
        "water_supply": "water",
        "food_health": "health",
        "admin_service": "one-stop",
        "disaster": "disaster",
        "other": "ioc",
    }
)
_TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "road": ("Mặt đường có ổ gà sâu, xe máy dễ ngã", "Biển báo giao thông bị gãy"),
        "lighting_power": ("Đèn đường không sáng nhiều đêm", "Dây điện võng thấp trước nhà dân"),
        "waste_env": ("Rác thải đổ bên đường, bốc mùi", "Cơ sở xả nước thải ra kênh"),
        "drainage_flood": ("Cống tắc, nước tràn ra đường khi mưa", "Đường ngập không đi được"),
        "urban_order": ("Hàng quán lấn chiếm vỉa hè", "Xây dựng trái phép trên đất công"),
        "security_traffic": ("Xe tải chạy quá tốc độ qua khu dân cư", "Tụ tập gây ồn ban đêm"),
        "water_supply": ("Mất nước sinh hoạt từ sáng", "Nước máy đục, có mùi"),
        "food_health": ("Quán ăn không bảo đảm vệ sinh", "Nghi ngờ thực phẩm hỏng bán ở chợ"),
        "admin_service": ("Hồ sơ chờ lâu chưa có kết quả", "Đề nghị hướng dẫn nộp trực tuyến"),
        "disaster": ("Cây đổ chắn đường", "Sạt lở taluy, đất đá tràn xuống đường"),
        "other": ("Đề nghị hướng dẫn thủ tục", "Góp ý về phục vụ của địa phương"),
    }
)
_ENDS = ("assigned", "rejected", "duplicate", "referred")
OPEN, REJECT, DUPLICATE, REFER = range(4)


@dataclass(frozen=True)
class Reports:
    """The field reports of one province and day as columns."""

    province: Province
    day: int
    #: Part of the id: reports that a storm adds are numbered by themselves.
    series: str
    number: Ints
    times: Ints
    district: Ints
    commune: Ints
    category: Ints
    channel: Ints
    priority: Ints
    lat: Floats
    lon: Floats
    outcome: Ints
    leader: Ints
    due: Ints
    due_extended: Ints
    due_reopened: Ints
    rating: Ints
    rating_again: Ints
    text: Ints
    reporter: Ints

    def __len__(self) -> int:
        return len(self.times)

    @property
    def topic(self) -> str:
        return "ioc.field-report.v1"

    def take(self, rows: Ints) -> "Reports":
        """These reports, reduced to some rows."""
        columns = {
            f.name: getattr(self, f.name)[rows]
            for f in fields(self)
            if f.name not in ("province", "day", "series")
        }
        return Reports(province=self.province, day=self.day, series=self.series, **columns)

    def _key(self, number: int) -> str:
        return f"PA{self.province.code}-{yymmdd(self.day)}-{self.series}{number:05d}"

    def status(self, i: int, slot: int) -> str:
        """The contract status after a step."""
        match slot:
            case 0:
                return "received"
            case 1:
                return "verifying"
            case 2:
                return _ENDS[self.outcome[i]]
            case 4:
                return "extended"
            case 6 | 7 | 11 | 12:
                return "answered"
            case 8:
                return "reopened"
            case 9:
                return "assigned"
            case _:
                return "in_progress"

    def event(self, i: int, slot: int) -> tuple[str, dict[str, Any]]:
        """Key and CloudEvent of a report's state after a step of its life."""
        times = self.times[i].tolist()
        key = self._key(int(self.number[i]))
        place = self.province.districts[self.district[i]]
        commune = int(self.commune[i])
        revision = sum(t >= 0 for t in times[: slot + 1])
        category = CATEGORIES[self.category[i]]
        outcome = int(self.outcome[i])
        answered = rated = -1
        rating = 0
        if slot >= ANSWERED_AGAIN:
            answered = times[ANSWERED_AGAIN]
            if slot == RATED_AGAIN:
                rated, rating = times[RATED_AGAIN], int(self.rating_again[i])
        elif ANSWERED <= slot < REOPENED:
            answered = times[ANSWERED]
            if slot == RATED:
                rated, rating = times[RATED], int(self.rating[i])
        closed = answered
        if slot >= DECIDED and outcome != OPEN:
            closed = times[DECIDED]
        if slot >= REOPENED:
            due = int(self.due_reopened[i])
        elif slot >= EXTENDED and times[EXTENDED] >= 0:
            due = int(self.due_extended[i])
        else:
            due = int(self.due[i])
        known = slot >= VERIFYING
        decided = slot >= DECIDED
        texts = _TEXTS[category]
        data = {
            "report_id": key,
            "revision": revision,
            "status": self.status(i, slot),
            "category": category,
            "channel": CHANNELS[self.channel[i]],
            "priority": PRIORITIES[self.priority[i]],
            "province_code": self.province.code,
            "district_code": place.row.district_code,
            "commune_code": place.communes[commune] if commune >= 0 else None,
            "lat": round(float(self.lat[i]), 6),
            "lon": round(float(self.lon[i]), 6),
            "agency_code": f"{place.row.district_code}.{_AGENCY[category]}" if decided else None,
            "reported_at": iso(times[RECEIVED]),
            "acknowledged_at": iso(times[VERIFYING]) if known else None,
            "due_at": iso(due) if known else None,
            "answered_at": iso(answered) if answered >= 0 else None,
            "closed_at": iso(closed) if closed >= 0 else None,
            "rating": get_args(v1.Rating)[rating] if rated >= 0 else None,
            "rated_at": iso(rated) if rated >= 0 else None,
            "extended_count": int(slot >= EXTENDED and times[EXTENDED] >= 0),
            "duplicate_of": self._key(int(self.leader[i]))
            if decided and outcome == DUPLICATE
            else None,
            "description": f"{texts[self.text[i] % len(texts)]}, {place.row.district}",
            "reporter_ref": f"r-{self.reporter[i]:012x}",
        }
        return key, {
            "specversion": "1.0",
            "id": f"{key}-r{revision}",
            "source": SOURCE,
            "type": "ioc.field_report.v1",
            "time": iso(times[slot]),
            "datacontenttype": "application/json",
            "data": data,
        }
