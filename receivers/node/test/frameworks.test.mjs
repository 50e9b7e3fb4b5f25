// The adapters under the real frameworks, over real HTTP; each trap, and how it shows.
import assert from 'node:assert/strict';
import { createServer, request as httpRequest } from 'node:http';
import { test } from 'node:test';

import express4 from 'express4';
import express5 from 'express5';
import Fastify from 'fastify';
import { WebhookVerificationError } from 'hookline-webhooks';
import { webhook as forExpress } from 'hookline-webhooks/express';
import { webhook as forFastify } from 'hookline-webhooks/fastify';
import { webhook as forFetch } from 'hookline-webhooks/fetch';
import { BODY, challenge, guide, SECRET, signed } from './support.mjs';

/** Serve an application while the body of a test runs. */
async function serving(listener, use) {
  const server = createServer(listener);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}/webhook`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const quiet = (error, _request, response, _next) => response.status(500).send(error.message);

function onExpress(express) {
  return (handler, options, use) => {
    const app = express();
    app.all('/webhook', forExpress(SECRET, handler, options));
    app.use(quiet);
    return serving(app, use);
  };
}

async function onFastify(handler, options, use) {
  const fastify = Fastify();
  await fastify.register(forFastify, { url: '/webhook', secret: SECRET, handler, ...options });
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  try {
    return await use(`http://127.0.0.1:${fastify.server.address().port}/webhook`);
  } finally {
    fastify.server.closeAllConnections();
    await fastify.close();
  }
}

/** A server that hands real Request objects on, as a platform of that kind does. */
function onFetch(handler, options, use) {
  const answer = forFetch(SECRET, handler, options);
  return serving(async (incoming, outgoing) => {
    const bodiless = incoming.method === 'GET' || incoming.method === 'OPTIONS';
    const request = new Request(`http://host${incoming.url}`, {
      method: incoming.method,
      headers: new Headers(Object.entries(incoming.headers)),
      body: bodiless ? null : incoming,
      duplex: 'half',
    });
    try {
      const response = await answer(request);
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(Buffer.from(await response.arrayBuffer()));
    } catch (error) {
      outgoing.writeHead(500).end(error.message);
    }
  }, use);
}

/** Node's own server, without a framework. */
function onNode(handler, options, use) {
  const answer = forExpress(SECRET, handler, options);
  return serving((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(error.message));
  }, use);
}

const FRAMEWORKS = {
  'express 4': onExpress(express4),
  'express 5': onExpress(express5),
  fastify: onFastify,
  fetch: onFetch,
  'node:http': onNode,
};

const post = (url, body, headers) => fetch(url, { method: 'POST', body, headers });

for (const [name, on] of Object.entries(FRAMEWORKS)) {
  test(`${name}: a signed request reaches the handler, its body untouched`, async () => {
    const events = [];
    await on((event) => { events.push(event); }, {}, async (url) => {
      assert.equal((await post(url, BODY, signed())).status, 204);
      assert.equal((await post(url, BODY, guide())).status, 204);
    });
    assert.deepEqual(events.map((each) => [each.id, each.scheme]), [['msg_1', 'standard'], [null, 'guide']]);
    assert.equal(Buffer.from(events[0].body).toString(), BODY);
    assert.equal(events[0].data.name, '张三');
  });

  test(`${name}: refusals are 401 with the reason, and the handler does not run`, async () => {
    const refusals = [];
    const options = { onRefused: (error) => refusals.push(error.reason) };
    await on(() => assert.fail('ran'), options, async (url) => {
      for (const [body, headers, words] of [
        [BODY, {}, 'no X-Webhook-Signature'],
        [BODY, signed(BODY, { secret: 'wrong' }), 'does not fit'],
        [JSON.stringify(JSON.parse(BODY)), signed(), 'raw bytes'],
        [BODY, { 'X-Webhook-Signature': 'sha256=ab' }, 'does not fit'],
        [BODY, signed(BODY, { at: 1_000_000_000 }), 'old'],
        ['', {}, 'no X-Webhook-Signature'],
      ]) {
        const answer = await post(url, body, headers);
        assert.equal(answer.status, 401);
        assert((await answer.json()).detail.includes(words));
      }
      assert.equal((await post(url, 'no json', signed('no json'))).status, 400);
    });
    assert.equal(refusals[0], 'no_signature');
    assert.equal(refusals.length, 7);
  });

  test(`${name}: above express.raw's 100 kB, up to the limit`, async () => {
    let ran = 0;
    const large = JSON.stringify({ event: 'a', data: 'x'.repeat(500_000) });
    await on(() => { ran += 1; }, {}, async (url) => {
      assert.equal((await post(url, large, signed(large))).status, 204);
      const larger = `${' '.repeat(1024 * 1024)}{}`;
      assert.equal((await post(url, larger, signed(larger))).status, 413);
    });
    assert.equal(ran, 1);
  });

  test(`${name}: a body of unknown length stops at the limit`, async () => {
    await on(() => assert.fail('ran'), { limit: 1000 }, async (url) => {
      const status = await new Promise((resolve, reject) => {
        const request = httpRequest(url, { method: 'POST', headers: signed() }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on('error', reject);
        for (let n = 0; n < 20; n += 1) request.write(' '.repeat(100));
        request.end();
      });
      assert.equal(status, 413);
    });
  });

  test(`${name}: repeated headers, other names, any content type`, async () => {
    await on(() => {}, {}, async (url) => {
      const { 'webhook-signature': right, ...others } = signed();
      const list = [...Object.entries(others), ['webhook-signature', 'v1,AAAA'], ['Webhook-Signature', right]];
      assert.equal((await post(url, BODY, new Headers(list))).status, 204);
      assert.equal((await post(url, BODY, signed(BODY, { family: 'svix' }))).status, 204);
      for (const type of ['text/plain', 'application/octet-stream', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded']) {
        assert.equal((await post(url, BODY, { ...signed(), 'content-type': type })).status, 204, type);
      }
    });
  });

  test(`${name}: the handler's answer, and what it throws`, async () => {
    const results = [202, { status: 410, body: 'gone', headers: { 'webhook-delivery': 'disable' } }];
    const handler = async () => {
      if (results.length) return results.shift();
      throw new Error('boom');
    };
    await on(handler, {}, async (url) => {
      assert.equal((await post(url, BODY, signed())).status, 202);
      const gone = await post(url, BODY, signed());
      assert.deepEqual([gone.status, gone.headers.get('webhook-delivery'), await gone.text()], [410, 'disable', 'gone']);
      assert.equal((await post(url, BODY, signed())).status, 500);
    });
  });

  test(`${name}: the ownership challenge is answered, when it is signed`, async () => {
    await on(() => assert.fail('ran'), {}, async (url) => {
      const answer = await post(url, challenge, signed(challenge));
      assert.equal(answer.status, 200);
      assert.deepEqual(await answer.json(), { challenge: 'abc é' });
      assert.match(answer.headers.get('content-type'), /^application\/json/);
      assert.equal((await post(url, challenge, {})).status, 401);
    });
  });

  test(`${name}: the CloudEvents handshake is granted to listed origins only`, async () => {
    const ask = (url, origin) => fetch(url, { method: 'OPTIONS', headers: { 'WebHook-Request-Origin': origin } });
    await on(() => {}, { origins: ['sender.example'], rate: 60 }, async (url) => {
      const granted = await ask(url, 'sender.example');
      assert.equal(granted.status, 200);
      assert.equal(granted.headers.get('webhook-allowed-origin'), 'sender.example');
      assert.equal(granted.headers.get('webhook-allowed-rate'), '60');
      const other = await ask(url, 'other.example');
      assert.equal(other.headers.get('webhook-allowed-origin'), null);
      assert(other.status >= 400);
    });
    await on(() => {}, {}, async (url) => {
      assert.equal((await ask(url, 'sender.example')).headers.get('webhook-allowed-origin'), null);
    });
  });
}

for (const [name, express] of Object.entries({ 4: express4, 5: express5 })) {
  test(`express ${name}: a JSON parser that ran first is named, with the cure`, async () => {
    for (const parser of [express.json(), express.json({ type: '*/*' })]) {
      const app = express();
      app.use(parser);
      app.post('/webhook', forExpress(SECRET, () => assert.fail('ran')));
      await serving(app, async (url) => {
        const answer = await post(url, BODY, signed());
        assert.equal(answer.status, 500);
        const { detail } = await answer.json();
        assert.match(detail, /parsed first/);
        assert.match(detail, /before express\.json\(\)/);
      });
    }
  });

  test(`express ${name}: express.raw, express.text and rawBody are taken`, async () => {
    const keep = { verify: (request, _response, buffer) => { request.rawBody = buffer; } };
    for (const parser of [express.raw({ type: '*/*' }), express.text({ type: '*/*' }), express.json(keep)]) {
      const app = express();
      app.use(parser);
      app.post('/webhook', forExpress(SECRET, () => {}));
      await serving(app, async (url) => {
        assert.equal((await post(url, BODY, signed())).status, 204);
        assert.equal((await post(url, `${BODY} `, signed())).status, 401);
      });
    }
  });

  test(`express ${name}: a parser for other types leaves the body alone`, async () => {
    const app = express();
    app.use(express.urlencoded({ extended: false }));
    app.post('/webhook', forExpress(SECRET, (event, request, response) => { response.status(201).json(event.data); }));
    await serving(app, async (url) => {
      const answer = await post(url, BODY, signed());
      assert.equal(answer.status, 201);
      assert.equal((await answer.json()).name, '张三');
    });
  });
}

test("fastify: the application's own JSON routes stay as they are", async () => {
  const fastify = Fastify();
  fastify.post('/other', async (request) => request.body);
  await fastify.register(forFastify, { secret: SECRET, handler: () => {} });
  const other = await fastify.inject({ method: 'POST', url: '/other', payload: { n: 1 } });
  assert.deepEqual(other.json(), { n: 1 });
  const ours = await fastify.inject({ method: 'POST', url: '/webhook', payload: BODY, headers: signed() });
  assert.equal(ours.statusCode, 204);
  await fastify.close();
});

test('fetch: a body that was read first is named', async () => {
  const answer = forFetch(SECRET, () => assert.fail('ran'));
  const request = new Request('http://host/', { method: 'POST', body: BODY, headers: signed() });
  await request.json();
  const response = await answer(request);
  assert.equal(response.status, 500);
  assert.match((await response.json()).detail, /parsed first/);
});

test('fetch: the environment is handed on, and a Response is the answer', async () => {
  const answer = forFetch(SECRET, (event, _request, env) => Response.json({ [env]: event.type }));
  const request = new Request('http://host/', { method: 'POST', body: BODY, headers: signed() });
  assert.deepEqual(await (await answer(request, 'env')).json(), { env: 'customer.created' });
});

test('a secret that cannot verify anything stops the start', async () => {
  for (const make of [forExpress, forFetch]) {
    assert.throws(() => make('', () => {}), { reason: 'bad_secret' });
    assert.throws(() => make('whsec_?', () => {}), WebhookVerificationError);
  }
  await assert.rejects(async () => {
    const fastify = Fastify();
    await fastify.register(forFastify, { secret: '', handler: () => {} });
  }, { reason: 'bad_secret' });
});
