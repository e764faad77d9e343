// What stands on which board: KPI names only; titles, units and targets are the catalogue's.
//
// A tile's automatic window: counts and sums over 24 hours, rates, means and quantiles over 30 days
// (a rate over one quiet day says nothing), stock KPIs have none.

const FR = ["fr.received", "fr.open_now", "fr.overdue_now", "fr.on_time_rate", "fr.satisfaction_rate"];
const GOV = ["gov.cases_received", "gov.near_due_now", "gov.overdue_now", "gov.on_time_rate", "gov.online_rate"];
const ECO = ["eco.orders", "eco.gmv_vnd", "eco.products", "eco.cashless_rate", "eco.commune_seller_share"];

export const TRENDS = {
  fr: ["fr.received", "fr.answered"],
  gov: ["gov.cases_received", "gov.cases_solved"],
  eco: ["eco.orders", "eco.listings_created"],
};

/** Whose silence makes the figures of a domain grey. */
export const TOPIC_OF = { fr: "ioc.field-report.v1", gov: "ioc.admin-case.v1", eco: "ioc.listing.v1" };

/** A backlog with target 0 is judged as a part of these. */
export const BASE_OF = { "fr.overdue_now": "fr.open_now", "gov.overdue_now": "gov.open_now" };

export const BOARDS = {
  overview: {
    bands: [["fr", FR], ["gov", GOV], ["eco", ECO]],
    trends: ["fr", "gov", "eco"],
    ranking: ["gov.overdue_now", "fr.overdue_now", "gov.on_time_rate", "fr.on_time_rate"],
    hidden: ["fr.open_now", "gov.open_now"],
    map: ["gov.overdue_now", "fr.overdue_now", "fr.open_now", "gov.on_time_rate", "fr.on_time_rate"],
    panels: ["trend", "urgent", "risk"],
  },
  fr: {
    bands: [["fr", [...FR.slice(0, 3), "fr.answered", "fr.on_time_rate", "fr.satisfaction_rate",
      "fr.p50_hours_to_answer", "fr.p90_hours_to_answer", "fr.ack_minutes_mean", "fr.extension_rate",
      "fr.duplicates", "fr.rejected"]]],
    trends: ["fr"],
    ranking: ["fr.overdue_now", "fr.open_now", "fr.received", "fr.on_time_rate", "fr.satisfaction_rate"],
    hidden: [],
    map: ["fr.overdue_now", "fr.open_now", "fr.received", "fr.on_time_rate", "fr.satisfaction_rate"],
    splits: [["fr.open_now", "category"]],
    panels: ["trend", "split", "urgent"],
  },
  gov: {
    bands: [["gov", ["gov.cases_received", "gov.cases_solved", "gov.open_now", "gov.near_due_now",
      "gov.overdue_now", "gov.on_time_rate", "gov.early_rate", "gov.online_rate", "gov.full_online_rate",
      "gov.auth_rate", "gov.popdb_use_rate", "gov.dvcqg_sync_rate", "gov.online_payment_rate",
      "gov.online_payment_value_vnd", "gov.components_digitised_rate", "gov.result_digitised_rate",
      "gov.reuse_rate", "gov.mean_processing_days", "gov.p90_processing_days", "gov.satisfaction_rate"]]],
    trends: ["gov"],
    ranking: ["gov.overdue_now", "gov.near_due_now", "gov.open_now", "gov.on_time_rate", "gov.online_rate"],
    hidden: [],
    map: ["gov.overdue_now", "gov.near_due_now", "gov.open_now", "gov.on_time_rate", "gov.online_rate"],
    splits: [["gov.open_now", "procedure_field"], ["gov.step_minutes", "step"]],
    panels: ["trend", "split", "split"],
  },
  eco: {
    bands: [["eco", ["eco.orders", "eco.gmv_vnd", "eco.aov_vnd", "eco.products", "eco.stores",
      "eco.ocop_products", "eco.commune_seller_share", "eco.out_of_stock_rate", "eco.cancel_rate",
      "eco.cashless_rate", "eco.listings_created", "eco.listings_delisted"]]],
    trends: ["eco"],
    ranking: ["eco.gmv_vnd", "eco.orders", "eco.products", "eco.stores", "eco.out_of_stock_rate"],
    hidden: [],
    map: ["eco.products", "eco.stores", "eco.orders", "eco.gmv_vnd", "eco.out_of_stock_rate"],
    splits: [["eco.products", "platform"], ["eco.products", "product_group"]],
    panels: ["trend", "split", "split"],
  },
  ind: null,
};

export const WINDOWS = ["auto", "1h", "24h", "today", "7d", "30d", "month", "quarter", "year"];

/** The window a KPI is shown over, null for a stock KPI. */
export function windowOf(kpi, chosen) {
  if (!kpi || kpi.windows.length === 0) return null;
  if (chosen !== "auto" && kpi.windows.includes(chosen)) return chosen;
  return isAverage(kpi) ? "30d" : "24h";
}

/** Rates, means and quantiles: figures that are not sums. */
export const isAverage = (kpi) =>
  kpi.unit === "ratio" || ["hours", "minutes", "days"].includes(kpi.unit) || kpi.name === "eco.aov_vnd";
