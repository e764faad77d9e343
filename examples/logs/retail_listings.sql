-- The numbers of the invoices as listings: a product is listed at its first sale.
WITH lines AS (
  SELECT StockCode AS product, min(InvoiceDate::TIMESTAMP) AS instant
  FROM log
  WHERE regexp_matches(StockCode, '^[0-9]{5}[A-Za-z]*$') AND UnitPrice::DOUBLE > 0
    AND coalesce(Description, '') <> ''
    AND InvoiceDate::TIMESTAMP
      <= (getvariable('clock')::TIMESTAMPTZ AT TIME ZONE 'Asia/Ho_Chi_Minh')
  GROUP BY product
)
SELECT kpi, month, territory, NULL AS split, numerator::DOUBLE, denominator::DOUBLE
FROM (
  SELECT 'eco.listings_created' AS kpi, strftime(instant, '%Y-%m') AS month, count(*) AS numerator,
    NULL AS denominator
  FROM lines GROUP BY ALL
  UNION ALL SELECT 'eco.products', 'now', count(*), NULL FROM lines
  UNION ALL SELECT 'eco.stores', 'now', count(DISTINCT left(product, 2)), NULL FROM lines
), (VALUES ('all'), ('51')) AS places(territory)
