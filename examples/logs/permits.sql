-- The numbers of the permit log straight from the file, in DuckDB's SQL. Written without looking at
-- services/core. Table `log`: the columns of the CSV as text; `clock`: the replay clock, UTC.
WITH steps AS (
  SELECT
    "case:concept:name" AS id,
    row_number() OVER () AS line,
    "concept:name" AS step,
    date_trunc('milliseconds', "time:timestamp"::TIMESTAMPTZ) AS instant,
    date_trunc('milliseconds', "case:startdate"::TIMESTAMPTZ) AS opened,
    date_trunc('milliseconds', "case:deadline"::TIMESTAMPTZ) AS due,
    date_trunc('milliseconds', nullif("case:enddate", '')::TIMESTAMPTZ) AS ended,
    "case:channel" IN ('Internet', 'e-mail') AS online,
    CASE WHEN "case:channel" IN ('Internet', 'e-mail') THEN 'online'
      WHEN "case:channel" = 'Post' THEN 'postal' ELSE 'direct' END AS channel
  FROM log
),
-- A step before the case was opened is told when it was opened.
told AS (SELECT *, greatest(instant, opened) AS told FROM steps),
cases AS (
  SELECT id, any_value(opened) AS opened, any_value(due) AS due, any_value(online) AS online,
    any_value(channel) AS channel,
    any_value(CASE WHEN greatest(ended, opened) <= getvariable('clock') THEN ended END) AS ended
  FROM told GROUP BY id
),
latest AS (
  SELECT id, arg_max(step, (told, instant, line)) AS step
  FROM told WHERE told <= getvariable('clock') GROUP BY id
),
known AS (
  SELECT cases.*, coalesce(regexp_matches(step, '^T(16|17|18|19|20) '), false) AS held
  FROM cases LEFT JOIN latest USING (id) WHERE opened <= getvariable('clock')
),
facts(kpi, instant, channel, numerator, denominator) AS (
  SELECT 'gov.cases_received', opened, channel, 1, NULL FROM known
  UNION ALL SELECT 'gov.cases_accepted', opened, channel, 1, NULL FROM known
  UNION ALL SELECT 'gov.online_rate', opened, channel, online::INT, 1 FROM known
  UNION ALL SELECT 'gov.cases_solved', ended, channel, 1, NULL FROM known WHERE ended IS NOT NULL
  UNION ALL SELECT 'gov.on_time_rate', ended, channel, (ended <= due)::INT, 1
    FROM known WHERE ended IS NOT NULL AND due IS NOT NULL
  UNION ALL SELECT 'gov.mean_processing_days', ended, channel,
    date_diff('milliseconds', opened, ended) / 86400000.0, 1
    FROM known WHERE ended >= opened
  UNION ALL SELECT 'gov.open_now', NULL, channel, 1, NULL FROM known WHERE ended IS NULL
  UNION ALL SELECT 'gov.overdue_now', NULL, channel, 1, NULL FROM known
    WHERE ended IS NULL AND NOT held AND due < date_trunc('minute', getvariable('clock'))
)
SELECT kpi, coalesce(strftime(instant AT TIME ZONE 'Asia/Ho_Chi_Minh', '%Y-%m'), 'now') AS month,
  territory, split, sum(numerator)::DOUBLE, sum(denominator)::DOUBLE
FROM facts, (VALUES ('all'), ('unknown')) AS places(territory),
  LATERAL (SELECT unnest([NULL, 'channel=' || channel]) AS split)
WHERE split IS NULL OR territory = 'all'
GROUP BY ALL
