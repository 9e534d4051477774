-- name: companies
-- The companies of a fund, the day of their latest investment where no later round is known.
SELECT external_id, name, category, sector, status, status_date, founded_on,
  coalesce(last_round_on, (SELECT max(investment_date) FROM investments i WHERE i.company_id = c.id)),
  unplaced_on, known_until
FROM portfolio_companies c WHERE fund_id = :fund

-- name: rounds
-- The investments of a fund.
SELECT external_id, round_label, stage, stage_inferred, investment_date, amount_usd,
  disposal_date, disposal_proceeds_usd
FROM investments i JOIN portfolio_companies c ON c.id = i.company_id
WHERE fund_id = :fund
