-- name: create_incoming_companies
-- Filled by COPY, by position.
CREATE TEMP TABLE incoming_companies (
  external_id text, name text, sector text, category text, status text, status_date date, founded_on date,
  last_round_on date, unplaced_on date, known_until date
)

-- name: create_incoming_rounds
-- Filled by COPY, by position.
CREATE TEMP TABLE incoming_rounds (
  external_id text, round_label text, stage text, stage_inferred boolean, investment_date date,
  amount_usd double precision, disposal_date date, disposal_proceeds_usd double precision
)

-- name: upsert_companies
-- Inserts new companies and updates changed ones; `inserted` is true for the new.
INSERT INTO portfolio_companies AS held
  (fund_id, external_id, name, sector, category, status, status_date, founded_on,
   last_round_on, unplaced_on, known_until)
SELECT :fund, external_id, name, sector, category, status, status_date, founded_on,
  last_round_on, unplaced_on, known_until
FROM incoming_companies ORDER BY external_id
ON CONFLICT (fund_id, external_id) DO UPDATE
SET (name, sector, category, status, status_date, founded_on, last_round_on, unplaced_on, known_until) =
  (excluded.name, excluded.sector, excluded.category, excluded.status, excluded.status_date, excluded.founded_on,
   excluded.last_round_on, excluded.unplaced_on, excluded.known_until)
WHERE (held.name, held.sector, held.category, held.status, held.status_date, held.founded_on, held.last_round_on,
   held.unplaced_on, held.known_until) IS DISTINCT FROM
  (excluded.name, excluded.sector, excluded.category, excluded.status, excluded.status_date, excluded.founded_on,
   excluded.last_round_on, excluded.unplaced_on, excluded.known_until)
RETURNING (xmax = 0) AS inserted

-- name: delete_rounds
-- Rounds of the incoming companies, which the incoming rounds replace.
DELETE FROM investments USING portfolio_companies c JOIN incoming_companies USING (external_id)
WHERE c.fund_id = :fund AND investments.company_id = c.id

-- name: insert_rounds
-- The incoming rounds, with the ids of their companies.
INSERT INTO investments (company_id, round_label, stage, stage_inferred, investment_date, amount_usd, disposal_date,
  disposal_proceeds_usd)
SELECT c.id, round_label, stage, stage_inferred, investment_date, amount_usd, disposal_date, disposal_proceeds_usd
FROM incoming_rounds JOIN portfolio_companies c USING (external_id)
WHERE c.fund_id = :fund

-- name: count_not_named
-- Companies of the fund that the incoming ones do not name.
SELECT count(*) FROM portfolio_companies c
WHERE fund_id = :fund AND NOT EXISTS (SELECT FROM incoming_companies i WHERE i.external_id = c.external_id)
