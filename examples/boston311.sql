-- The numbers of docs/replay-real-data.md straight from the file, in SQLite's SQL.
-- Written without looking at services/core, and sharing no code with it.
--
--   table log      the columns of the CSV, empty text = null
--   :shift_days    whole weeks in days that `ioc convert --rebase` moved the log by, else 0
--   :clock         the replay clock, 'YYYY-MM-DD HH:MM:SS', after the shift: what happened later is
--                  not known
--
-- Result: kpi, month, territory, by, numerator, denominator.

WITH
-- Neighbourhoods in order of size, to the districts of Quảng Ngãi (51) and Đồng Tháp (87).
places(neighborhood, province, district) AS (VALUES
  ('Dorchester', '51', '522'),
  ('Roxbury', '51', '524'),
  ('Allston / Brighton', '51', '525'),
  ('Jamaica Plain', '51', '527'),
  ('West Roxbury', '51', '528'),
  ('South Boston / South Boston Waterfront', '51', '529'),
  ('Greater Mattapan', '51', '530'),
  ('Hyde Park', '51', '531'),
  ('Roslindale', '51', '532'),
  ('East Boston', '51', '533'),
  ('Downtown / Financial District', '51', '534'),
  ('South End', '51', '535'),
  ('Back Bay', '87', '866'),
  ('Charlestown', '87', '867'),
  ('Mission Hill', '87', '868'),
  ('Fenway / Kenmore / Audubon Circle / Longwood', '87', '869'),
  ('Boston', '87', '870'),
  ('Beacon Hill', '87', '871'),
  ('South Boston', '87', '872'),
  ('Brighton', '87', '873'),
  ('Allston', '87', '874'),
  ('Mattapan', '87', '875'),
  ('Chestnut Hill', '87', '876')
),
moved AS (
  SELECT
    coalesce(province, '51') AS province,
    coalesce(district, '51.none') AS district,
    CASE source
      WHEN 'Self Service' THEN 'web'
      WHEN 'Citizens Connect App' THEN 'app'
      WHEN 'Employee Generated' THEN 'field_staff'
      WHEN 'Maximo Integration' THEN 'field_staff'
      WHEN 'Twitter' THEN 'facebook'
      ELSE 'hotline'
    END AS channel,
    coalesce(closure_code, '') AS closure,
    datetime(open_dt, :shift_days || ' days') AS opened,
    datetime(target_dt, :shift_days || ' days') AS due,
    datetime(closed_dt, :shift_days || ' days') AS closed
  FROM log LEFT JOIN places USING (neighborhood)
),
-- What is known at the replay clock.
known AS (
  SELECT
    province, district, channel, opened, due,
    CASE WHEN closed <= :clock THEN closed END AS closed,
    CASE WHEN closed <= :clock THEN closure END AS closure
  FROM moved
  WHERE opened <= :clock
),
answered AS (
  SELECT *, CAST(strftime('%s', closed) AS INTEGER) - CAST(strftime('%s', opened) AS INTEGER) AS seconds
  FROM known
  WHERE closed IS NOT NULL AND closure NOT IN ('Duplicate', 'Invalid', 'Referred')
),
facts(kpi, month, province, district, channel, numerator, denominator) AS (
  SELECT 'fr.received', substr(opened, 1, 7), province, district, channel, 1, NULL FROM known
  UNION ALL
  SELECT 'fr.answered', substr(closed, 1, 7), province, district, channel, 1, NULL FROM answered
  UNION ALL
  SELECT
    CASE closure WHEN 'Duplicate' THEN 'fr.duplicates' WHEN 'Invalid' THEN 'fr.rejected'
      ELSE 'fr.referred' END,
    substr(closed, 1, 7), province, district, channel, 1, NULL
  FROM known WHERE closure IN ('Duplicate', 'Invalid', 'Referred')
  UNION ALL
  SELECT 'fr.on_time_rate', substr(closed, 1, 7), province, district, channel, closed <= due, 1
  FROM answered WHERE due IS NOT NULL
  UNION ALL
  SELECT 'fr.mean_hours_to_answer', substr(closed, 1, 7), province, district, channel,
    seconds / 3600.0, 1
  FROM answered
  UNION ALL
  SELECT 'fr.open_now', 'now', province, district, channel, 1, NULL
  FROM known WHERE closed IS NULL
  UNION ALL
  -- The contract compares due times with the whole minute of the clock.
  SELECT 'fr.overdue_now', 'now', province, district, channel, 1, NULL
  FROM known WHERE closed IS NULL AND due < substr(:clock, 1, 17) || '00'
),
-- The 50th and 90th percentile: the value of rank ceil(q * n).
ranked AS (
  SELECT
    substr(closed, 1, 7) AS month,
    seconds,
    row_number() OVER (PARTITION BY substr(closed, 1, 7) ORDER BY seconds) AS rank,
    count(*) OVER (PARTITION BY substr(closed, 1, 7)) AS n
  FROM answered
)
SELECT kpi, month, 'all' AS territory, NULL AS "by", sum(numerator), sum(denominator)
FROM facts GROUP BY kpi, month
UNION ALL
SELECT kpi, month, 'all', 'channel=' || channel, sum(numerator), sum(denominator)
FROM facts GROUP BY kpi, month, channel
UNION ALL
SELECT kpi, month, province, NULL, sum(numerator), sum(denominator)
FROM facts GROUP BY kpi, month, province
UNION ALL
SELECT kpi, month, district, NULL, sum(numerator), sum(denominator)
FROM facts GROUP BY kpi, month, district
UNION ALL
SELECT 'fr.p50_hours_to_answer', month, 'all', NULL, seconds / 3600.0, NULL
FROM ranked WHERE rank = (n * 50 + 99) / 100
UNION ALL
SELECT 'fr.p90_hours_to_answer', month, 'all', NULL, seconds / 3600.0, NULL
FROM ranked WHERE rank = (n * 90 + 99) / 100
