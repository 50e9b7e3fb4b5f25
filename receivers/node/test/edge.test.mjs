// The same files on workerd, the runtime of Cloudflare Workers: no Node, no Buffer, no process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import workerd from 'workerd';
import { BODY, challenge, guide, SECRET, signed } from './support.mjs';

const WORKER = `
import { webhook } from './fetch.js';
const answer = webhook(${JSON.stringify(SECRET)}, (event, request, env) => {
  if (typeof process !== 'undefined' || typeof Buffer !== 'undefined') throw new Error('Node');
  return Response.json({ name: event.data.name, place: env.PLACE });
});
export default { fetch: answer };
`;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a worker verifies, refuses and answers the challenge', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-edge-'));
  const files = ['fetch.js', 'door.js', 'index.js'];
  for (const file of files) {
    copyFileSync(fileURLToPath(new URL(`../dist/esm/${file}`, import.meta.url)), join(folder, file));
  }
  writeFileSync(join(folder, 'worker.js'), WORKER);
  const modules = ['worker.js', ...files].map((file) => `(name = "${file}", esModule = embed "${file}")`);
  const port = await freePort();
  writeFileSync(join(folder, 'config.capnp'), `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [${modules.join(', ')}],
    compatibilityDate = "2025-01-01",
    bindings = [(name = "PLACE", text = "edge")],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`);
  const args = ['serve', join(folder, 'config.capnp'), '--control-fd=3'];
  const server = spawn(workerd.default ?? workerd, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  try {
    // It tells of its socket on the control stream once it listens.
    await new Promise((resolve, reject) => {
      server.stdio[3].on('data', (line) => String(line).includes('"listen"') && resolve());
      server.on('exit', (code) => reject(new Error(`workerd ended with ${code}`)));
    });
    const post = (body, headers) => fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers });
    for (const headers of [signed(), guide()]) {
      const answer = await post(BODY, headers);
      assert.equal(answer.status, 200);
      assert.deepEqual(await answer.json(), { name: '张三', place: 'edge' });
    }
    assert.equal((await post(JSON.stringify(JSON.parse(BODY)), signed())).status, 401);
    assert.equal((await post(BODY, { 'X-Webhook-Signature': 'sha256=ab' })).status, 401);
    assert.deepEqual(await (await post(challenge, signed(challenge))).json(), { challenge: 'abc é' });
    const larger = `${' '.repeat(1024 * 1024)}{}`;
    assert.equal((await post(larger, signed(larger))).status, 413);
  } finally {
    server.removeAllListeners('exit');
    server.kill();
    rmSync(folder, { recursive: true });
  }
});
