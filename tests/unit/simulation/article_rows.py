"""The 119 facts of the articles, row by row: which series or KPI shows each, and near which value.

``Ind`` names an indicator series by its key; ``Kpi`` a KPI with a territory and filters. ``near``
is (low, high), inclusive; None where a text or a mere presence is expected. Run this module to
write ``docs/indicators.md``.
"""

from dataclasses import dataclass
from pathlib import Path

Range = tuple[float, float]


@dataclass(frozen=True)
class Ind:
    """A series that must be alive; ``near`` bounds its latest number, None for text."""

    key: str
    near: Range | None = None


@dataclass(frozen=True)
class Kpi:
    """A KPI of a stream over four plain weeks; ``per`` scales a count to the row's period."""

    name: str
    territory: str
    near: Range
    where: tuple[tuple[str, str], ...] = ()
    #: Multiplies the count of four weeks; 1 for rates.
    times: float = 1.0


def _i(key: str, low: float | None = None, high: float | None = None) -> Ind:
    if low is None:
        return Ind(key)
    return Ind(key, (low, low if high is None else high))


def _k(name: str, territory: str, low: float, high: float, times: float = 1.0, **where: str) -> Kpi:
    return Kpi(name, territory, (low, high), tuple(sorted(where.items())), times)


#: Four weeks hold 20 working days; a half-year has about 125, a month 21.
_HALF, _MONTH = 125 / 20, 21 / 20

ROWS: dict[str, tuple[Ind | Kpi, ...]] = {
    # Quảng Ngãi, July 2023
    "0.1": (_i("org.steering_committee_rate|51|", 0.9, 1.0),),
    "0.2": (_i("gov.popdb_fields|51|", 20), _k("gov.popdb_use_rate", "51", 0.94, 1.0)),
    "0.3": (_i("train.commune_leaders|51|", 176),),
    "0.4": (_i("org.cnscd_coverage|51|", 1.0),),
    "0.5": (_i("train.attendances|51|", 58_000, 59_000),),
    "0.6": (_i("idx.training_rank|51|"),),
    "0.7": (_i("infra.staff_pc_rate|51|", 0.75, 0.95),),
    "0.8": (_i("hr.it_vacancies|51|", 1, 200),),
    "0.9": (_i("soc.people_guided|51|", 10_000, 100_000),),
    "0.10": (_i("gov.shared_platform_rate|51|", 0.85, 1.0),),
    "0.11": (
        _k("gov.components_digitised_rate", "51", 0.82, 0.94),
        _k("gov.result_digitised_rate", "51", 0.82, 0.96),
    ),
    "0.12": (_k("gov.online_payment_rate", "51", 0.45, 0.72),),
    "0.13": (_k("gov.online_rate", "51", 0.54, 0.68),),
    "0.14": (_i("sec.incidents|51|", 0, 3),),
    "0.15": (_k("eco.ocop_products", "51", 40, 40), _i("eco.ocop_recognised|51|", 42)),
    "0.16": (_i("org.policy_text|51|document=directive-19"),),
    "0.17": (_k("gov.cases_received", "51", 8_000, 22_000, portal="national"),),
    # Bạc Liêu, March 2024
    "1.1": (
        _i("proj.progress|95|owner=so-gtvt;project=transport-order", 0.3, 0.95),
        _i("proj.progress|95|owner=so-xd;project=planning-construction", 0.3, 0.95),
        _i("proj.progress|95|owner=so-tnmt;project=resources-environment", 0.3, 0.95),
        _i("proj.progress|95|owner=so-yte;project=health", 0.3, 0.95),
        _i("proj.progress|95|owner=so-tttt;project=ict-smart-data", 0.3, 0.95),
    ),
    "1.2": (_i("org.milestone|95|milestone=egov-architecture-3.0", 1),),
    "1.3": (_k("gov.dvcqg_sync_rate", "95", 0.96, 1.0),),
    "1.4": (_i("data.open_datasets|95|", 64), _i("data.sector_digitised_rate|95|", 0.5, 0.9)),
    "1.5": (_i("gov.assistant_sessions|95|", 5, 800),),
    "1.6": (
        _i("eco.einvoice_units|95|", 3_000, 9_500),
        _i("eco.econtracts|95|", 400, 5_200),
        _i("eco.etax_units|95|", 3_000, 9_500),
        _i("gov.signature_holders|95|", 9_000, 62_000),
    ),
    "1.7": (_i("infra.tslcd_rate|95|", 0.9, 1.0),),
    "1.8": (
        _i("soc.insurance_etrans_units|95|", 1_196),
        _i("soc.insurance_etrans_rate|95|", 0.8965, 0.8967),
    ),
    "1.9": (_i("hr.records_synced|95|", 15_250), _i("hr.records_synced_rate|95|", 1.0)),
    "1.10": (_i("data.archive_pages|95|", 3_310_000, 3_320_000),),
    "1.11": (_i("soc.eid_collected_rate|95|", 1.113),),
    "1.12": (_i("soc.eid_activated_rate|95|", 0.7392),),
    "1.13": (_i("gov.digital_services|95|", 26), _i("hr.it_vacancies|95|", 31)),
    "1.14": (_i("gov.multi_access_rate|95|", 0.95, 1.0),),
    "1.15": (_k("gov.auth_rate", "95", 0.83, 0.95),),
    "1.16": (_k("gov.full_online_rate", "95", 0.43, 0.57),),
    "1.17": (
        _k("gov.components_digitised_rate", "95", 0.94, 1.0),
        _k("gov.result_digitised_rate", "95", 0.93, 1.0),
    ),
    "1.18": (_i("eco.sme_platform_rate|95|", 0.45, 0.50),),
    "1.19": (_i("org.review_meetings|95|", 1),),
    # Đồng Tháp, September 2022
    "2.1": (_i("org.steering_meetings|87|", 1),),
    "2.2": (_i("org.partner_programmes|87|", 2),),
    "2.3": (_i("idx.dti_unit|866|", 400, 800), _i("idx.dti_rank|87|", 39)),
    "2.4": (_i("org.event_text|87|event=digital-day"), _i("train.attendances|87|", 1_000, 99_000)),
    "2.5": (_i("org.models_registered|87|", 48),),
    "2.6": (_i("org.resolution_conferences|87|", 12),),
    "2.7": (_i("infra.portal_up|87|", 0, 1), _i("soc.portal_visits|87|", 50, 6_000)),
    "2.8": (_i("org.plans_issued|87|", 6),),
    "2.9": (_i("org.nq17_done_rate|87|", 0.6, 0.99),),
    "2.10": (_i("infra.lgsp_up|87|", 0, 1), _i("infra.lgsp_calls|87|", 0, 5_000)),
    "2.11": (_k("gov.dvcqg_sync_rate", "87", 0.96, 1.0),),
    "2.12": (_i("edoc.system_rate|87|", 1.0), _i("edoc.partners|87|", 88)),
    "2.13": (
        _i("rpt.on_time_rate|87|level=province", 1.0),
        _i("rpt.on_time_rate|87|level=district", 0.9, 1.0),
        _i("rpt.on_time_rate|87|level=commune", 0.9, 1.0),
    ),
    "2.14": (_i("gov.paperless_units|87|", 2),),
    "2.15": (_i("org.cds_centre|87|", 1), _i("hr.centre_staff|87|", 1, 60)),
    "2.16": (_i("org.schemes_done_rate|87|", 0.7, 0.99),),
    "2.17": (
        _i("idx.pillar_gov|87|", 0, 1),
        _i("idx.pillar_eco|87|", 0, 1),
        _i("idx.pillar_soc|87|", 0, 1),
    ),
    # Quảng Trị
    "3.1": (_i("org.policy_text|45|document=resolution-02"),),
    "3.2": (_i("infra.website_rate|45|", 1.0),),
    "3.3": (_i("edoc.eoffice_rate|45|", 1.0),),
    "3.4": (_i("infra.mail_rate|45|", 1.0),),
    "3.5": (_i("infra.vc_points_online|45|", 10),),
    "3.6": (_i("infra.vc_commune_rate|45|", 1.0),),
    "3.7": (_i("ioc.feeds_live|45|scope=screens", 3, 5), _i("ioc.feed_live|45|feed=health", 0, 1)),
    "3.8": (
        _k("fr.received", "45", 380, 760),
        _k("fr.on_time_rate", "45", 0.78, 0.97),
        _k("fr.satisfaction_rate", "45", 0.65, 0.92),
    ),
    "3.9": (
        _k("fr.received", "45", 60, 180, channel="hotline"),
        _i("ioc.hotline_calls|45|", 0, 60),
        _i("ioc.hotline_answer_rate|45|", 0.8, 1.0),
    ),
    "3.10": (
        _k("eco.stores", "45", 43, 43, platform="provincial"),
        _k("eco.products", "45", 142, 142, platform="provincial"),
    ),
    "3.11": (_k("eco.products", "45", 264, 264, platform="postmart"),),
    "3.12": (_k("eco.products", "45", 320, 320, platform="voso"),),
    "3.13": (_k("eco.products", "45", 1, 20, platform="sendo"),),
    "3.14": (
        _i("ioc.feeds_live|45|scope=sectors", 2, 4),
        _i("ioc.feed_live|45|feed=agriculture", 0, 1),
        _i("ioc.feed_live|45|feed=tourism", 0, 1),
    ),
    "3.15": (_i("soc.mobile_users_rate|45|", 0.80),),
    "3.16": (_i("soc.internet_users_rate|45|", 0.89, 0.90),),
    "3.17": (_i("ioc.databases_joined|45|", 17),),
    "3.18": (
        _i("org.partner_programmes|45|", 1),
        _i("eco.firms_supported|45|", 10, 500),
        _i("train.attendances|45|", 1_000, 99_000),
    ),
    "3.19": (_i("eco.digital_firms|45|", 10, 400), _i("org.policy_text|45|document=solutions")),
    "3.20": (_k("gov.online_rate", "45", 0.55, 0.70),),
    # Quảng Ngãi by district, July 2023
    "4.1": (_i("infra.vc_points_online|51|", 186),),
    "4.2": (_i("org.policy_text|51|document=plan-119"),),
    "4.3": (_i("edoc.sent|525|", 8_090), _i("edoc.electronic_rate|525|", 0.935, 0.945)),
    "4.4": (_i("edoc.signed_sent|525|", 5_963), _i("edoc.signed_rate|525|", 0.975, 0.985)),
    "4.5": (_i("gov.directives_published_rate|525|", 1.0),),
    "4.6": (_i("infra.staff_mailbox_rate|525|", 1.0),),
    "4.7": (
        _k("gov.cases_received", "525", 1_000, 1_850, _HALF, level="district"),
        _k("gov.cases_returned", "525", 900, 1_850, _HALF, level="district"),
    ),
    "4.8": (_i("org.cnscd_teams|525|", 96),),
    "4.9": (
        _i("org.steering_committee_rate|528|", 1.0),
        _i("org.steering_committee_rate|533|", 1.0),
    ),
    "4.10": (_i("hr.cds_officer_rate|528|", 1.0),),
    "4.11": (_i("org.cnscd_coverage|528|", 1.0),),
    "4.12": (_i("gov.tthc_published_rate|528|", 1.0),),
    "4.13": (_i("gov.shared_platform_rate|528|", 0.9, 1.0),),
    "4.14": (_i("ioc.district_iocs|528|", 1),),
    "4.15": (_i("idx.dti_rank|528|", 1, 13),),
    "4.16": (_i("soc.support_points|528|", 1, 60),),
    "4.17": (
        _k("gov.online_rate", "528", 0.5, 0.72),
        _k("gov.components_digitised_rate", "528", 0.8, 0.96),
        _k("gov.online_rate", "533", 0.5, 0.72),
        _k("gov.components_digitised_rate", "533", 0.8, 0.96),
    ),
    "4.18": (_i("org.cnscd_coverage|533|", 1.0), _i("org.cnscd_members|533|", 498)),
    "4.19": (_i("edoc.signed_rate|533|", 0.9, 1.0),),
    "4.20": (
        _i("gov.ecopies|533|", 0, 30),
        _k("gov.cases_received", "533", 400, 2_000, procedure_field="certification"),
    ),
    "4.21": (_i("gov.paperless_units|533|", 1),),
    "4.22": (_i("infra.vc_points_online|533|", 14),),
    "4.23": (_k("gov.reuse_rate", "533", 0.3, 0.6),),
    "4.24": (
        _i("soc.people_guided|533|", 3_486),
        _i("soc.people_guided|524|", 4_550),
        _i("soc.people_guided|534|", 4_305),
    ),
    "4.25": (_i("org.event_text|533|event=30-day-drive"), _k("gov.online_rate", "533", 0.5, 0.72)),
    "4.26": (_i("train.attendances|524|event=launch", 250, 260),),
    "4.27": (_i("infra.vc_points_online|524|", 23),),
    "4.28": (_i("org.cnscd_teams|524|", 143), _i("org.cnscd_members|524|", 650)),
    "4.29": (_i("gov.signature_adult_rate|532|", 0.005, 0.1),),
    "4.30": (
        _k("gov.step_minutes", "532", 0.1, 600, step="receive"),
        _k("gov.step_minutes", "532", 10, 20_000, step="appraise"),
        _k("gov.step_minutes", "532", 10, 20_000, step="approve"),
        _k("gov.step_minutes", "532", 10, 20_000, step="sign"),
        _k("gov.step_minutes", "532", 0.1, 5_000, step="return"),
    ),
    "4.31": (_k("gov.components_digitised_rate", "532", 0.8, 0.96),),
    "4.32": (
        _i("gov.online_procedures|532|level=district", 53),
        _i("gov.online_procedures|532|level=commune", 19),
    ),
    "4.33": (_k("gov.online_rate", "532", 0.62, 0.71),),
    "4.34": (
        _k("gov.cases_received", "532", 480, 900, _HALF, procedure_field="land", channel="online"),
    ),
    "4.35": (_i("edoc.axis_levels|534|", 4),),
    "4.36": (_i("infra.tslcd_rate|534|", 0.8, 1.0),),
    "4.37": (_k("gov.auth_rate", "534", 0.40, 0.50),),
    "4.38": (_i("edoc.axis_rate|534|", 1.0),),
    "4.39": (
        _i("edoc.workfile_online_rate|534|level=district", 0.8),
        _i("edoc.workfile_online_rate|534|level=commune", 0.6),
    ),
    "4.40": (_i("gov.online_procedures|534|level=district", 16),),
    "4.41": (_k("gov.cases_received", "534", 240, 430, _MONTH, service_level="full"),),
    "4.42": (_i("gov.onestop_rate|534|", 1.0), _k("gov.cases_received", "534", 3_500, 8_000)),
    "4.43": (
        _k("gov.online_payments", "534", 35, 130, _MONTH, procedure_field="land"),
        _k("gov.online_payment_value_vnd", "534", 1.2e9, 6e9, _MONTH, procedure_field="land"),
    ),
    "4.44": (_i("org.cnscd_teams|534|", 99), _i("org.cnscd_members|534|", 615)),
    "4.45": (
        _i("soc.people_guided|522|audience=residents;topic=one-stop", 1_000, 1_300),
        _i("soc.people_guided|522|audience=fishermen;topic=cashless", 500, 800),
    ),
    "4.46": (_i("org.policy_text|534|document=movement"),),
}


def page() -> str:
    """``docs/indicators.md``: the rows above and the catalogue, as two tables."""
    from services.core.indicators import by_name

    lines = [
        "# Indicators, and where each reported fact lives",
        "",
        "Written by `python -m tests.unit.simulation.article_rows`; a test compares. Rates are",
        "fractions: 0.8966 means 89.66 %.",
        "",
        "## The 119 facts",
        "",
        "Five articles on provincial digital work (Quảng Ngãi July 2023, Bạc Liêu March 2024, Đồng",
        "Tháp September 2022, Quảng Trị, Quảng Ngãi by district July 2023) name 119 systems and",
        "figures. Each is alive in the simulation: as an indicator series, or as a KPI of a stream",
        "whose rates are set so that it lies near the reported figure. Counts are per four weeks",
        "where nothing else is said.",
        "",
        "| row | shown by | territory, filter | near |",
        "|---|---|---|---|",
    ]
    for row, shown in ROWS.items():
        for what in shown:
            match what:
                case Ind(key, near):
                    name, territory, dims = key.split("|", 2)
                    place = f"{territory} {dims}".strip()
                    times = 1.0
                case Kpi(name, territory, near, where, times):
                    place = " ".join([territory, *(f"{k}={v}" for k, v in where)])
            scaled = {1.0: "", _HALF: " a half-year", _MONTH: " a month"}[times]
            lines.append(f"| {row} | `{name}` | {place} | {_near(near)}{scaled} |")
    lines += [
        "",
        "## The catalogue",
        "",
        "`cadence`: *beat* every five minutes, *day* at 0:05 and corrected at 7:30, the others as",
        "running periods (half: the last closed half-year) sent each morning.",
        "",
        "| indicator | tên | title | kind | unit | good | target | cadence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for i in by_name().values():
        target = "" if i.target is None else f"{i.target:g}"
        if i.target_low is not None:
            target += f" (at least {i.target_low:g})"
        lines.append(
            f"| `{i.name}` | {i.title_vi} | {i.title_en} | {i.kind} | {i.unit} | {i.direction} "
            f"| {target} | {i.cadence} |"
        )
    return "\n".join(lines) + "\n"


def _near(near: Range | None) -> str:
    if near is None:
        return "text"
    low, high = near
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


if __name__ == "__main__":
    Path("docs/indicators.md").write_text(page(), encoding="utf-8")
