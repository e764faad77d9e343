-- The numbers of the invoices as orders. The file has a wall clock; +07:00 stands behind it.
WITH lines AS (
  SELECT
    InvoiceDate::TIMESTAMP AS instant,
    InvoiceNo LIKE 'C%' AS cancelled,
    coalesce(CustomerID, '') <> '' AS paid,
    abs(round(Quantity::DECIMAL(18, 0) * UnitPrice::DECIMAL(18, 4) * 33000)) AS value,
    CASE Country WHEN 'United Kingdom' THEN '51' WHEN 'Germany' THEN '87' WHEN 'France' THEN '45'
      WHEN 'EIRE' THEN '95' ELSE 'unknown' END AS province
  FROM log
  WHERE regexp_matches(StockCode, '^[0-9]{5}[A-Za-z]*$') AND UnitPrice::DOUBLE > 0
    AND InvoiceDate::TIMESTAMP
      <= (getvariable('clock')::TIMESTAMPTZ AT TIME ZONE 'Asia/Ho_Chi_Minh')
),
facts(kpi, instant, province, payment, numerator, denominator) AS (
  SELECT 'eco.orders', instant, province, if(paid, 'bank', 'cod'), 1, NULL FROM lines
  UNION ALL SELECT 'eco.cancel_rate', instant, province, if(paid, 'bank', 'cod'), cancelled::INT, 1
    FROM lines
  UNION ALL SELECT 'eco.gmv_vnd', instant, province, if(paid, 'bank', 'cod'), value, NULL
    FROM lines WHERE NOT cancelled
  UNION ALL SELECT 'eco.aov_vnd', instant, province, if(paid, 'bank', 'cod'), value, 1
    FROM lines WHERE NOT cancelled
  UNION ALL SELECT 'eco.cashless_rate', instant, province, if(paid, 'bank', 'cod'), paid::INT, 1
    FROM lines WHERE NOT cancelled
)
SELECT kpi, strftime(instant, '%Y-%m') AS month, territory, split,
  sum(numerator)::DOUBLE, sum(denominator)::DOUBLE
FROM facts, LATERAL (SELECT unnest(['all', province]) AS territory),
  LATERAL (SELECT unnest([NULL, 'payment=' || payment]) AS split)
WHERE split IS NULL OR territory = 'all'
GROUP BY ALL
