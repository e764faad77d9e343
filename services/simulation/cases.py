"""Administrative cases of one province and local day, and their states. Pure.

A day's cases are columns: one row per case, one column per step of its life (``SLOTS``), with the
instant of each step or -1. The whole life is decided at birth (``caseload``, ``case_lives``);
``Cases.event`` gives the state after any step. Legal paths (domain 3.2)::

    registered -> refused
               -> accepted -> processing [-> supplement -> processing]
                  [-> payment_due -> processing] -> solved -> returned
    withdrawn and stopped end a case from processing, supplement or payment_due.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from schemas import v1
from services.simulation.instants import iso, yymmdd
from services.simulation.provinces import Province

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SOURCE = "/ioc/sim/admin-case"
FIELDS: tuple[str, ...] = get_args(v1.ProcedureField)
SLOTS = (
    "registered", "intake", "processing", "supplement", "resumed", "appraised",
    "approved", "payment_due", "paid", "ended", "returned", "rated",
)  # fmt: skip
(
    REGISTERED, INTAKE, PROCESSING, SUPPLEMENT, RESUMED, APPRAISED,
    APPROVED, PAYMENT_DUE, PAID, ENDED, RETURNED, RATED,
) = range(len(SLOTS))  # fmt: skip
#: No case lives longer than this from its birth to its rating, without delivery faults.
LONGEST_LIFE_DAYS = 110

_PREFIX = dict(zip(FIELDS, ("1.", "2.", "1.", "2.", "1.", "1.", "1.", "1.", "2."), strict=True))
_LEVELS: tuple[str, ...] = get_args(v1.Level)
_CHANNELS: tuple[str, ...] = get_args(v1.CaseChannel)
ONLINE, DIRECT, POST = range(3)
_SERVICE: tuple[str, ...] = get_args(v1.ServiceLevel)
_DEVICES: tuple[str, ...] = get_args(v1.Device)
_METHODS: tuple[str, ...] = get_args(v1.PaymentMethod)
_RATINGS: tuple[str, ...] = get_args(v1.Rating)


@dataclass(frozen=True)
class Cases:
    """The cases of one province and day as columns, in order of registration."""

    province: Province
    day: int
    number: Ints
    times: Ints
    district: Ints
    commune: Ints
    level: Ints
    field: Ints
    channel: Ints
    result_channel: Ints
    service_level: Ints
    national: Bools
    auth: Bools
    popdb: Bools
    synced: Bools
    device: Ints
    procedure: Ints
    components: Ints
    digitised: Ints
    signed: Ints
    reused: Ints
    digital: Bools
    fee: Ints
    method: Ints
    pays_at: Ints
    end_status: Ints
    refused: Bools
    due: Ints
    due_after: Ints
    due_paid: Ints
    sign_at: Ints
    appraise_at: Ints
    approve_at: Ints
    rating: Ints
    hold: Ints

    def __len__(self) -> int:
        return len(self.times)

    @property
    def topic(self) -> str:
        return "ioc.admin-case.v1"

    def take(self, rows: Ints) -> "Cases":
        """These cases, reduced to some rows."""
        columns = {
            f.name: getattr(self, f.name)[rows]
            for f in fields(self)
            if f.name not in ("province", "day")
        }
        return Cases(province=self.province, day=self.day, **columns)

    @cached_property
    def _cells(self) -> Any:
        """The columns as lists: Python numbers are what JSON takes, and quicker one by one."""
        return SimpleNamespace(
            **{
                f.name: getattr(self, f.name).tolist()
                for f in fields(self)
                if f.name not in ("province", "day")
            }
        )

    def key(self, i: int) -> str:
        c = self._cells
        code = self.province.districts[c.district[i]].row.district_code
        return f"{self.province.code}.{code}.{yymmdd(self.day)}-{c.number[i]:05d}"

    def event(self, i: int, slot: int) -> tuple[str, dict[str, Any]]:
        """Key and CloudEvent of a case's state after a step of its life."""
        c = self._cells
        times = c.times[i]
        key = self.key(i)
        district = self.province.districts[c.district[i]]
        commune = c.commune[i]
        revision = sum(t >= 0 for t in times[: slot + 1])
        accepted = times[INTAKE] if slot >= INTAKE and not c.refused[i] else -1
        ended = slot >= ENDED and times[ENDED] >= 0
        solved = ended and c.end_status[i] == 0
        returned = slot >= RETURNED and times[RETURNED] >= 0
        total = c.components[i]
        known = slot >= INTAKE
        paid_at = c.pays_at[i]
        now = times[slot]
        paid = 0 <= paid_at <= now
        synced = c.synced[i] and (c.national[i] or known)
        if slot >= PAID and times[PAID] >= 0:
            due = c.due_paid[i]
        else:
            due = c.due_after[i] if slot >= RESUMED else c.due[i]
        rated = slot >= RATED
        data = {
            "case_id": key,
            "revision": revision,
            "status": self.status(i, slot),
            "level": _LEVELS[c.level[i]],
            "procedure_code": self._procedure(i),
            "procedure_field": FIELDS[c.field[i]],
            "service_level": _SERVICE[c.service_level[i]],
            "channel": _CHANNELS[c.channel[i]],
            "result_channel": _CHANNELS[c.result_channel[i]] if returned else None,
            "portal": "national" if c.national[i] else "provincial",
            "province_code": self.province.code,
            "district_code": district.row.district_code,
            "commune_code": district.communes[commune] if commune >= 0 else None,
            "agency_code": self._agency(i, district.row.district_code),
            "registered_at": iso(times[REGISTERED]),
            "accepted_at": iso(accepted) if accepted >= 0 else None,
            "due_at": iso(due) if accepted >= 0 else None,
            "solved_at": iso(times[ENDED]) if solved else None,
            "returned_at": iso(times[RETURNED]) if returned else None,
            "steps": self._steps(i, slot, times) if accepted >= 0 else None,
            "fee_due": c.fee[i],
            "payment": {
                "amount": c.fee[i],
                "method": _METHODS[c.method[i]],
                "paid_at": iso(paid_at),
            }
            if paid
            else None,
            "components_total": total,
            "components_digitised": c.digitised[i] if known else 0,
            "components_signed": c.signed[i],
            "components_reused": c.reused[i] if known else 0,
            "result_digital": c.digital[i] and solved,
            "auth": c.auth[i],
            "popdb_checked": c.popdb[i],
            "popdb_fields": 20 if c.popdb[i] else 0,
            "dvcqg_synced_at": iso(times[REGISTERED] if c.national[i] else times[INTAKE])
            if synced
            else None,
            "device": _DEVICES[c.device[i]] if c.channel[i] == ONLINE else None,
            "rating": _RATINGS[c.rating[i]] if rated else None,
            "rated_at": iso(times[RATED]) if rated else None,
        }
        return key, {
            "specversion": "1.0",
            "id": f"{key}-r{revision}",
            "source": SOURCE,
            "type": "ioc.admin_case.v1",
            "time": iso(now),
            "datacontenttype": "application/json",
            "data": data,
        }

    def status(self, i: int, slot: int) -> str:
        """The contract status after a step."""
        c = self._cells
        match slot:
            case 0:
                return "registered"
            case 1:
                return "refused" if c.refused[i] else "accepted"
            case 3:
                return "supplement"
            case 7:
                return "payment_due"
            case 9:
                return ("solved", "withdrawn", "stopped")[c.end_status[i]]
            case 10 | 11:
                return "returned"
            case _:
                return "processing"

    def _steps(self, i: int, slot: int, times: list[int]) -> dict[str, str]:
        c = self._cells
        steps = {"receive": iso(times[INTAKE])}
        now = times[slot]
        for name, at in (
            ("appraise", c.appraise_at[i]),
            ("approve", c.approve_at[i]),
            ("sign", c.sign_at[i]),
        ):
            if 0 <= at <= now:
                steps[name] = iso(at)
        if slot >= RETURNED and times[RETURNED] >= 0:
            steps["return"] = iso(times[RETURNED])
        return steps

    def _procedure(self, i: int) -> str:
        c = self._cells
        name = FIELDS[c.field[i]]
        return f"{_PREFIX[name]}{1000 + 97 * c.field[i] + c.procedure[i]:06d}"

    def _agency(self, i: int, district: str) -> str:
        c = self._cells
        match c.level[i]:
            case 0:
                return f"{self.province.code}.{FIELDS[c.field[i]]}"
            case 1:
                return f"{district}.one-stop"
            case _:
                commune = c.commune[i]
                return f"{self.province.districts[c.district[i]].communes[commune]}.one-stop"
