// verify: what is accepted, what is refused, and what the refusal says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { verify, verifySignature, WebhookVerificationError } from 'hookline-webhooks';
import { BODY, guide, SECRET, signed } from './support.mjs';

const vectors = new URL('../../../tests/vectors/', import.meta.url);
const load = (name) => JSON.parse(readFileSync(new URL(name, vectors), 'utf8'));
const NOW = 1_760_697_000;
const now = { now: NOW };

async function refused(reason, ...args) {
  await assert.rejects(verify(...args), (error) => {
    assert(error instanceof WebhookVerificationError, `another error: ${error.stack}`);
    assert.equal(error.reason, reason, error.message);
    assert(!error.message.includes(SECRET));
    return true;
  });
}

test('the published Standard Webhooks vectors verify', async () => {
  for (const { secret, id, timestamp, body, signature } of load('standard_webhooks.json').symmetric) {
    const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signature };
    const event = await verify(body, headers, secret, { now: timestamp });
    assert.deepEqual(event.payload, JSON.parse(body));
    await refused('bad_signature', `${body} `, headers, secret, { now: timestamp });
  }
});

test("GitHub's published vector verifies with the guide's function", async () => {
  const [{ secret, body, signature }] = load('guide_signature.json').vectors;
  assert.equal(await verifySignature(body, signature, secret), true);
  assert.equal(await verifySignature(body, signature.slice(7), secret), true);
  assert.equal(await verifySignature(`${body}x`, signature, secret), false);
});

test('an event has what the envelope says', async () => {
  const body = '{"event":"a.b","data":{"n":1},"timestamp":"2025-10-17T10:30:00.000Z","metadata":{"u":1}}';
  const headers = { ...signed(body, { at: NOW }), 'X-Webhook-Attempt': '2' };
  const { body: raw, ...event } = await verify(body, headers, SECRET, now);
  assert.deepEqual(event, {
    id: 'msg_1',
    type: 'a.b',
    data: { n: 1 },
    timestamp: new Date('2025-10-17T10:30:00.000Z'),
    metadata: { u: 1 },
    attempt: 2,
    sentAt: new Date(NOW * 1000),
    scheme: 'standard',
    payload: JSON.parse(body),
  });
  assert.equal(Buffer.from(raw).toString(), body);
});

test('bodies: bytes, buffers of any kind and text', async () => {
  const bytes = Buffer.from(BODY);
  const copy = Uint8Array.from(bytes);
  for (const body of [BODY, bytes, copy, copy.buffer, new DataView(copy.buffer)]) {
    assert.equal((await verify(body, signed(), SECRET)).data.name, '张三');
  }
});

test('headers in every shape', async () => {
  for (const family of ['webhook', 'svix']) {
    const headers = signed(BODY, { family });
    const entries = Object.entries(headers);
    const shapes = {
      object: headers,
      'upper case': Object.fromEntries(entries.map(([n, v]) => [n.toUpperCase(), v])),
      underscores: Object.fromEntries(entries.map(([n, v]) => [n.replaceAll('-', '_'), v])),
      Headers: new Headers(headers),
      Map: new Map(entries),
      pairs: entries,
      rawHeaders: entries.flat(),
      arrays: Object.fromEntries(entries.map(([n, v]) => [n, [v]])),
      'missing ones': { ...headers, cookie: undefined, other: null },
      'no prototype': Object.assign(Object.create(null), headers),
    };
    for (const [shape, value] of Object.entries(shapes)) {
      const event = await verify(BODY, value, SECRET, { scheme: 'standard' });
      assert.equal(event.id, 'msg_1', shape);
    }
  }
});

test('several signatures, in one header, in several, or joined by a proxy', async () => {
  const right = signed();
  const wrong = `v1,${Buffer.alloc(32).toString('base64')}`;
  for (const signature of [
    `${wrong} ${right['webhook-signature']}`,
    [wrong, right['webhook-signature']],
    `${wrong}, ${right['webhook-signature']}`,
    `v1a,${'A'.repeat(86)}== ${right['webhook-signature']}`,
  ]) {
    assert(await verify(BODY, { ...right, 'webhook-signature': signature }, SECRET));
  }
});

test('a signature whose base64 begins like a version is still one signature', async () => {
  let met = 0;
  for (let at = NOW; met < 3; at += 1) {
    const headers = signed(BODY, { at });
    if (!/^v1,v\d/.test(headers['webhook-signature'])) continue;
    met += 1;
    assert(await verify(BODY, headers, SECRET, { now: at }));
    const other = signed(BODY, { at, secret: 'another' })['webhook-signature'];
    for (const joined of [`${other},${headers['webhook-signature']}`, `${headers['webhook-signature']}, ${other}`]) {
      assert(await verify(BODY, { ...headers, 'webhook-signature': joined }, SECRET, { now: at }));
    }
  }
});

test('several secrets while one replaces another', async () => {
  assert(await verify(BODY, signed(), ['old', SECRET]));
  assert(await verify(BODY, guide(), [SECRET, 'new']));
  await refused('bad_signature', BODY, signed(), ['old', 'new']);
});

test('a whsec_ secret: decoded for the standard, as text for the guide', async () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  assert.equal((await verify(BODY, signed(BODY, { secret }), secret)).scheme, 'standard');
  assert.equal((await verify(BODY, guide(BODY, secret), secret)).scheme, 'guide');
});

test('the standard decides where present, and scheme insists', async () => {
  const wrong = { ...signed(), 'webhook-signature': 'v1,AAAA', ...guide() };
  await refused('bad_signature', BODY, wrong, SECRET);
  assert(await verify(BODY, wrong, SECRET, { scheme: 'guide' }));
  await refused('no_signature', BODY, guide(), SECRET, { scheme: 'standard' });
  await assert.rejects(verify(BODY, signed(), SECRET, { scheme: 'svix' }), TypeError);
});

test('five minutes either way, and not one second more', async () => {
  for (const [off, reason] of [[-301, 'timestamp_too_old'], [301, 'timestamp_too_new']]) {
    await refused(reason, BODY, signed(BODY, { at: NOW + off }), SECRET, now);
    const inside = off - Math.sign(off);
    assert(await verify(BODY, signed(BODY, { at: NOW + inside }), SECRET, now));
  }
  const old = signed(BODY, { at: 1_000_000_000 });
  assert(await verify(BODY, old, SECRET, { tolerance: Infinity }));
  await refused('timestamp_too_old', BODY, old, SECRET, { tolerance: NaN });
});

test('a re-serialised body is refused', async () => {
  const again = JSON.stringify(JSON.parse(BODY));
  assert.notEqual(again, BODY);
  await refused('bad_signature', again, signed(), SECRET);
  await refused('bad_signature', again, guide(), SECRET);
});

test('a parsed body is an error that says so, and how to fix it', async () => {
  for (const body of [JSON.parse(BODY), {}, [], undefined, null, 7, true]) {
    await refused('body_parsed', body, signed(), SECRET);
  }
  await assert.rejects(verify({}, signed(), SECRET), /parsed first.*express\.raw.*before express\.json/);
});

test('malformed and short signatures do not fit, and throw nothing else', async () => {
  const values = ['v1', 'v1,', ',', 'v1,!!!!', 'v1,AAAA=', 'v1,AAA', 'v2,x', 'v1,é', ' ', 'v1 '.repeat(999), '\0', '\ud800'];
  for (const value of values) {
    const empty = value.trim() === '';
    const standard = { ...signed(), 'webhook-signature': value };
    await refused(empty ? 'no_signature' : 'bad_signature', BODY, standard, SECRET, { scheme: 'standard' });
    const ours = { 'X-Webhook-Signature': value };
    await refused(empty ? 'no_signature' : 'bad_signature', BODY, ours, SECRET);
  }
  for (const value of ['', 'sha256=', 'sha256=ab', 'x'.repeat(64), 'é'.repeat(64), null, undefined, 7, {}]) {
    assert.equal(await verifySignature(BODY, value, SECRET), false);
  }
  assert.equal(await verifySignature({}, 'sha256=ab', SECRET), false);
  assert.equal(await verifySignature(BODY, guide(BODY, 'x')['X-Webhook-Signature'], ''), false);
});

test('malformed headers are named', async () => {
  for (const [name, value] of [
    ['webhook-id', ''], ['webhook-id', 'a.b'], ['webhook-id', '消息'], ['webhook-id', 'x'.repeat(257)],
    ['webhook-id', ['a', 'b']], ['webhook-id', {}], ['webhook-timestamp', ''],
    ['webhook-timestamp', '2025-10-17'], ['webhook-timestamp', '-5'], ['webhook-timestamp', '1.5'],
    ['webhook-timestamp', '1'.repeat(5000)], ['webhook-timestamp', '١٢٣'],
  ]) {
    const headers = { ...signed(), [name]: value };
    await assert.rejects(verify(BODY, headers, SECRET), { reason: 'malformed', message: new RegExp(name) });
  }
  for (const headers of [null, undefined, 7, 'text', [1], [null]]) {
    await refused('malformed', BODY, headers, SECRET);
  }
  await refused('no_signature', BODY, {}, SECRET);
});

test('an unusable secret verifies nothing', async () => {
  for (const secret of ['', ' padded', 'whsec_?', 'whsec_YWJj', [], [''], [null], null, undefined, 7, Buffer.from('x')]) {
    await refused('bad_secret', BODY, signed(), secret);
  }
});

test('what is signed but no JSON is its own reason', async () => {
  for (const body of ['not json', '', Buffer.from([0xff]), '\ufeff{}', 'NaN']) {
    await refused('bad_body', body, signed(body), SECRET);
  }
});

test('the data of any payload', async () => {
  for (const [body, type, data] of [
    ['{"type":"invoice.paid","data":{"n":1}}', 'invoice.paid', { n: 1 }],
    ['{"type":"thin","object":"x"}', 'thin', { type: 'thin', object: 'x' }],
    ['[1,2]', '', [1, 2]],
    ['{"event":7,"data":null}', '', null],
    ['{"__proto__":{"data":1},"event":"a"}', 'a', JSON.parse('{"__proto__":{"data":1},"event":"a"}')],
  ]) {
    const event = await verify(body, signed(body), SECRET);
    assert.equal(event.type, type);
    assert.deepEqual(event.data, data);
  }
});

test('require() gives the same as import', async () => {
  const required = createRequire(import.meta.url)('hookline-webhooks');
  assert.equal((await required.verify(BODY, signed(), SECRET)).id, 'msg_1');
  for (const name of ['express', 'fastify', 'fetch']) {
    const path = `hookline-webhooks/${name}`;
    assert.equal(typeof createRequire(import.meta.url)(path).webhook, 'function');
    assert.equal(typeof (await import(path)).webhook, 'function');
  }
});

test('without a global crypto, as in Node 18, Node has one elsewhere', () => {
  for (const [type, load] of [
    ['module', "const { verify } = await import('hookline-webhooks');"],
    ['commonjs', "const { verify } = require('hookline-webhooks');"],
  ]) {
    const code = `
      delete globalThis.crypto;
      ${load}
      const [body, headers] = JSON.parse(process.argv[1]);
      verify(body, headers, ${JSON.stringify(SECRET)}).then((event) => console.log(event.id));`;
    const args = [`--input-type=${type}`, '--eval', code, JSON.stringify([BODY, signed()])];
    const options = { cwd: new URL('.', import.meta.url), encoding: 'utf8' };
    assert.equal(execFileSync(process.execPath, args, options).trim(), 'msg_1');
  }
});
