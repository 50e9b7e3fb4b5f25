import { createHmac } from 'node:crypto';

export const SECRET = 'your-secret-key';
export const BODY = '{"event":"customer.created","data":{"name":"张三","balance":1.0,"url":"a\\/b","n":1e3}}';

/** The headers Hookline sends. */
export function signed(body = BODY, { secret = SECRET, id = 'msg_1', at, family = 'webhook' } = {}) {
  const sent = at ?? Math.floor(Date.now() / 1000);
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret;
  const mac = createHmac('sha256', key).update(`${id}.${sent}.`).update(body).digest('base64');
  return {
    'content-type': 'application/json',
    [`${family}-id`]: id,
    [`${family}-timestamp`]: String(sent),
    [`${family}-signature`]: `v1,${mac}`,
  };
}

export function guide(body = BODY, secret = SECRET) {
  return { 'X-Webhook-Signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` };
}

export const challenge = '{"event":"webhook.challenge","data":{"challenge":"abc é"},"timestamp":"x"}';
