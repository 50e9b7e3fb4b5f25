// The project's own receiver for Express: what the guide's does, and a clean 401 to every bad
// signature. Prints its port; the secret and the address come from the test.
const crypto = require('crypto');
const express = require('express');

const secret = process.env.WEBHOOK_SECRET;
const app = express();

function isOurs(body, header) {
  const expected = Buffer.from(
    'sha256=' + crypto.createHmac('sha256', secret).update(body).digest('hex'),
  );
  const given = Buffer.from(header || '');
  // timingSafeEqual throws when the lengths differ.
  return given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

app.post('/webhook', express.raw({ type: 'application/json', limit: '1mb' }), (req, res) => {
  if (!isOurs(req.body, req.headers['x-webhook-signature'])) {
    return res.status(401).json({ error: 'bad signature' });
  }
  JSON.parse(req.body);
  res.json({ status: 'ok' });
});

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
