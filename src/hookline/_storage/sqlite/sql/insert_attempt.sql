INSERT INTO hookline_attempt (
  message_id, id, endpoint_id, number, "trigger", started_at, url, state, status, failure, detail,
  response_headers, response_body, dns_us, connect_us, tls_us, first_byte_us, total_us,
  next_attempt_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
