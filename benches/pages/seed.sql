-- Fills the tables as the migrations have them: {leads} shared leads of the company {vendor}, with 5 comments and
-- 2 tasks each, and the vendor's next numbers. Run once a vendor, in one transaction.

CREATE TEMPORARY TABLE side ON COMMIT DROP AS
SELECT p.id AS partnership_id, p.vendor_id, p.partner_id, row_number() OVER (ORDER BY c.slug) - 1 AS place,
       (SELECT m.id FROM member m WHERE m.company_id = p.vendor_id ORDER BY m.subject LIMIT 1) AS vendor_member,
       (SELECT m.id FROM member m WHERE m.company_id = p.partner_id ORDER BY m.subject LIMIT 1) AS partner_member,
       (SELECT t.id FROM template t WHERE t.company_id = p.vendor_id AND t.key = 'partner-lead') AS template_id
FROM partnership p JOIN company c ON c.id = p.partner_id
WHERE p.vendor_id = '{vendor}';

-- One lead a second, up to now; of ten, five are pending, four accepted, and one is closed and in the archive.
CREATE TEMPORARY TABLE seed ON COMMIT DROP AS
SELECT n, side.*, at, pg_temp.v7(at) AS lead_id, pg_temp.v7(at) AS assignment_id,
       CASE WHEN n % 10 < 5 THEN 'pending' WHEN n % 10 < 9 THEN 'accepted' ELSE 'closed_not_converted' END AS stage_key,
       CASE WHEN n % 10 < 5 THEN 'AWAITING' WHEN n % 10 < 9 THEN 'ACTIVE' ELSE 'LOST' END AS stage_kind,
       CASE WHEN n % 10 < 5 THEN at + interval '30 days' WHEN n % 10 < 9 THEN at + interval '60 days' END AS expires_at,
       CASE WHEN n % 10 >= 5 THEN at + interval '1 hour' END AS accepted_at,
       CASE WHEN n % 10 = 9 THEN at + interval '2 hours' END AS closed_at,
       CASE WHEN n % 4 = 0 THEN NULL ELSE (n % 977 + 1)::bigint * 10000000 END AS value_amount
FROM generate_series(1, {leads}) AS n
CROSS JOIN LATERAL (SELECT date_trunc('milliseconds', now()) - ({leads} - n) * interval '1 second' AS at) AS time
JOIN side ON side.place = n % (SELECT count(*) FROM side);

INSERT INTO lead (id, source_id, number, created_by, created_at)
SELECT lead_id, vendor_id, 1000 + n, vendor_member, at FROM seed;

INSERT INTO assignment (id, lead_id, partnership_id, receiver_id, offered_at, answered_at, ended_at, outcome)
SELECT assignment_id, lead_id, partnership_id, partner_id, at, accepted_at, NULL,
       CASE WHEN accepted_at IS NOT NULL THEN stage_key END
FROM seed;

INSERT INTO lead_view (
    lead_id, company_id, side, source_id, receiver_id, partnership_id, assignment_id, template_id, workflow_key,
    workflow_version, number, title, description, lead_source, customer_company, customer_website, customer_industry,
    customer_employees, address_street, address_city, address_region, address_postal_code, address_country,
    contact_first_name, contact_last_name, contact_job_title, contact_email, contact_phone, contact_phone_typed,
    value_amount, value_currency, stage_key, stage_kind, owner_id, active, archived, expires_at, on_expiry, expires_to,
    accepted_at, closed_at, version, created_at, updated_at, sort_expires, sort_value, search)
SELECT lead_id, company_id, side, vendor_id, partner_id, partnership_id, assignment_id, template_id, 'partner-lead',
       1, 'L-' || 1000 + n, 'A warehouse system for site ' || n, 'They want to replace what they have by the summer.',
       'Web', 'Customer ' || n || ' Ltd', 'https://customer-' || n || '.example', 'Logistics',
       n % 5000, n || ' High Street', 'Leeds', 'West Yorkshire', 'LS1 4DY', 'GB',
       'Robin', 'Smith', 'Head of Logistics', 'robin.smith@customer-' || n || '.example', '+441132960000',
       '0113 296 0000', value_amount, CASE WHEN value_amount IS NOT NULL THEN 'EUR' END, stage_key, stage_kind,
       owner, TRUE, stage_key = 'closed_not_converted', expires_at,
       CASE WHEN expires_at IS NOT NULL THEN 'expire' END, CASE WHEN expires_at IS NOT NULL THEN 'expired' END,
       accepted_at, closed_at, 1, at, coalesce(closed_at, accepted_at, at),
       coalesce(expires_at, timestamptz '9999-12-31 00:00:00+00'), coalesce(value_amount, -1),
       lower('A warehouse system for site ' || n || E'\n' || 'Customer ' || n || ' Ltd' || E'\n' || 'L-' || 1000 + n)
FROM seed CROSS JOIN LATERAL (
    VALUES ('SOURCE', vendor_id, vendor_member),
           ('RECEIVER', partner_id, CASE WHEN accepted_at IS NOT NULL THEN partner_member END)
) AS view (side, company_id, owner)
ORDER BY n, side;

-- A thread grows while other leads come in: its comments do not lie beside each other.
INSERT INTO comment (
    id, lead_id, source_id, receiver_id, company_id, author_id, visibility, body, in_reply_to, created_at)
SELECT pg_temp.v7(said), lead_id, vendor_id, partner_id,
       CASE WHEN k % 2 = 0 THEN vendor_id ELSE partner_id END,
       CASE WHEN k % 2 = 0 THEN vendor_member ELSE partner_member END,
       CASE WHEN k = 4 AND n % 3 = 0 THEN 'INTERNAL' ELSE 'SHARED' END,
       'Comment ' || k || ' on lead ' || n || ': we spoke on the phone and they will send their figures this week.',
       NULL, said
FROM generate_series(0, 4) AS k CROSS JOIN seed CROSS JOIN LATERAL (SELECT at + k * interval '10 minutes' AS said) AS t
ORDER BY k, n;

INSERT INTO task (
    id, lead_id, source_id, receiver_id, company_id, created_by, assigned_company_id, assignee_id, visibility, title,
    description, state, due_at, completed_at, version, created_at, updated_at)
SELECT pg_temp.v7(said), lead_id, vendor_id, partner_id, vendor_id, vendor_member, partner_id, partner_member,
       'SHARED', 'Call customer ' || n, NULL, CASE WHEN k = 1 AND n % 2 = 0 THEN 'DONE' ELSE 'OPEN' END,
       said + interval '7 days', CASE WHEN k = 1 AND n % 2 = 0 THEN said + interval '1 day' END, 1, said, said
FROM generate_series(0, 1) AS k CROSS JOIN seed CROSS JOIN LATERAL (SELECT at + k * interval '10 minutes' AS said) AS t
ORDER BY k, n;

UPDATE company_sequence SET lead_number = 1000 + {leads} WHERE company_id = '{vendor}';

-- The pages do not compare leads: the server need not write what they are compared by.
INSERT INTO job_progress (name, lead_id, finished_at) VALUES ('match keys 1', NULL, now()) ON CONFLICT DO NOTHING;
