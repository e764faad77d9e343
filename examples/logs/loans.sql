-- The numbers of the loan log straight from the file. An application that is decided stays decided.
WITH steps AS (
  SELECT
    "case:concept:name" AS id,
    row_number() OVER () AS line,
    "concept:name" AS step,
    date_trunc('milliseconds', "time:timestamp"::TIMESTAMPTZ) AS instant,
    date_trunc('milliseconds', "case:REG_DATE"::TIMESTAMPTZ) AS opened
  FROM log WHERE "time:timestamp"::TIMESTAMPTZ <= getvariable('clock')
),
decided AS (
  SELECT id, min((instant, line)) AS place, arg_min(step, (instant, line)) AS decision, min(instant) AS instant
  FROM steps WHERE step IN ('A_ACTIVATED', 'A_DECLINED', 'A_CANCELLED') GROUP BY id
),
-- What it was while it was open.
open AS (
  SELECT id, steps.instant, steps.line, step
  FROM steps LEFT JOIN decided USING (id)
  WHERE (place IS NULL OR (steps.instant, line) < place) AND step IN (
    'A_SUBMITTED', 'A_PREACCEPTED', 'W_Completeren aanvraag', 'W_Nabellen incomplete dossiers')
),
last AS (SELECT id, arg_max(step, (instant, line)) AS step FROM open GROUP BY id),
accepted AS (SELECT id, min(instant) AS accepted FROM open WHERE step = 'A_PREACCEPTED' GROUP BY id),
known AS (
  SELECT id, opened, accepted, decision, decided.instant AS ended, last.step
  FROM (SELECT id, any_value(opened) AS opened FROM steps GROUP BY id)
  LEFT JOIN decided USING (id) LEFT JOIN last USING (id) LEFT JOIN accepted USING (id)
),
facts(kpi, instant, numerator, denominator) AS (
  SELECT 'gov.cases_received', opened, 1, NULL FROM known
  UNION ALL SELECT 'gov.refuse_rate', opened, coalesce(decision = 'A_DECLINED', false)::INT, 1
    FROM known
  UNION ALL SELECT 'gov.cases_accepted', accepted, 1, NULL FROM known WHERE accepted IS NOT NULL
  UNION ALL SELECT 'gov.cases_solved', ended, 1, NULL FROM known WHERE decision = 'A_ACTIVATED'
  UNION ALL SELECT 'gov.on_time_rate', ended, (ended <= opened + INTERVAL 720 HOURS)::INT, 1
    FROM known WHERE decision = 'A_ACTIVATED'
  UNION ALL SELECT 'gov.mean_processing_days', ended,
    date_diff('milliseconds', accepted, ended) / 86400000.0, 1
    FROM known WHERE decision = 'A_ACTIVATED' AND accepted IS NOT NULL
  UNION ALL SELECT 'gov.open_now', NULL, 1, NULL FROM known WHERE decision IS NULL
  UNION ALL SELECT 'gov.overdue_now', NULL, 1, NULL FROM known
    WHERE decision IS NULL AND step <> 'W_Nabellen incomplete dossiers'
      AND opened + INTERVAL 720 HOURS < date_trunc('minute', getvariable('clock'))
)
SELECT kpi, coalesce(strftime(instant AT TIME ZONE 'Asia/Ho_Chi_Minh', '%Y-%m'), 'now') AS month,
  territory, NULL AS split, sum(numerator)::DOUBLE, sum(denominator)::DOUBLE
FROM facts, (VALUES ('all'), ('unknown')) AS places(territory)
GROUP BY ALL
