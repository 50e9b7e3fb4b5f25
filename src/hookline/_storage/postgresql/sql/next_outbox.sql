SELECT
  (SELECT min(due_at) FROM hookline_outbox) AS next_due,
  EXISTS (SELECT 1 FROM hookline_endpoint WHERE ordered) AS any_ordered
