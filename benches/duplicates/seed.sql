-- {leads} leads that the partner {partner} submitted to the vendor {vendor}, as the vendor sees them, each with a name,
-- a domain and an e-mail address of its own and a phone number that a hundred share; one name in ten is that of
-- a hundred others, and every hundredth lead has the one name that people write who know none.

CREATE TEMPORARY TABLE seed ON COMMIT DROP AS
SELECT n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
       timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second' AS at,
       CASE WHEN n % 100 = 0 THEN 'unknown' WHEN n % 10 = 0 THEN 'branch ' || n / 1000 ELSE 'customer ' || n END AS name,
       'customer-' || n || '.example' AS domain, '+44113' || lpad((n / 100)::text, 7, '0') AS phone
FROM generate_series(1, {leads}) AS n;

INSERT INTO lead (id, source_id, number, created_by, created_at)
SELECT id, '{partner}', 10000000 + n, (SELECT id FROM member WHERE company_id = '{partner}' LIMIT 1), at FROM seed;

INSERT INTO lead_view (
    lead_id, company_id, side, source_id, receiver_id, template_id, workflow_key, workflow_version, number, title,
    customer_company, customer_website, contact_email, contact_phone, contact_phone_typed, stage_key, stage_kind,
    active, archived, version, created_at, updated_at, sort_expires, sort_value, search)
SELECT id, '{vendor}', 'RECEIVER', '{partner}', '{vendor}',
       (SELECT id FROM template WHERE company_id = '{partner}' AND key = 'partner-lead'), 'partner-lead', 1,
       'L-' || 10000000 + n, 'A warehouse system for site ' || n, name, 'https://' || domain || '/',
       'robin.smith@' || domain, phone, phone, 'pending', 'AWAITING', TRUE, FALSE, 1, at, at,
       timestamptz '9999-12-31 00:00:00+00', -1, 'a warehouse system for site ' || n || E'\n' || name
FROM seed;

INSERT INTO match_key (company_id, kind, value, created_at, lead_id)
SELECT '{vendor}', kind, value, at, id
FROM seed CROSS JOIN LATERAL (
    VALUES ('NAME', name), ('DOMAIN', domain), ('EMAIL', 'robin.smith@' || domain), ('PHONE', phone)
) AS keys (kind, value);

INSERT INTO job_progress (name, lead_id, finished_at) VALUES ('match keys 1', NULL, now()) ON CONFLICT DO NOTHING;
