// How users call it, as a type checker sees it. Checked by tsc, never run.
import express from 'node:http';
import {
  verify,
  verifySignature,
  WebhookVerificationError,
  type Reason,
  type WebhookEvent,
} from 'hookline-webhooks';
import { webhook as forExpress } from 'hookline-webhooks/express';
import { webhook as forFastify, type FastifyWebhookOptions } from 'hookline-webhooks/fastify';
import { webhook as forFetch } from 'hookline-webhooks/fetch';

interface Customer {
  name: string;
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

export async function byHand(body: Uint8Array, request: Request): Promise<Reason | null> {
  try {
    const event = await verify<Customer>(body, request.headers, ['new', 'old'], { tolerance: 60 });
    same<typeof event, WebhookEvent<Customer>>(true);
    same<typeof event.data.name, string>(true);
    same<typeof event.id, string | null>(true);
    same<typeof event.timestamp, Date | null>(true);
    const plain = await verify('text', { 'webhook-id': ['a'] }, 'secret', { scheme: 'standard' });
    same<typeof plain.data, unknown>(true);
    await verify(body.buffer as ArrayBuffer, new Map([['webhook-id', 'a']]), 'secret');
    await verify(body, [['webhook-id', 'a']], 'secret');
    same<boolean, Awaited<ReturnType<typeof verifySignature>>>(true);
    // @ts-expect-error a parsed body
    await verify({ event: 'a' }, request.headers, 'secret');
    // @ts-expect-error no secret
    await verify(body, request.headers);
    // @ts-expect-error an unknown scheme
    await verify(body, request.headers, 'secret', { scheme: 'svix' });
    return null;
  } catch (error) {
    return error instanceof WebhookVerificationError ? error.reason : null;
  }
}

const onNode = forExpress('secret', async (event, request, response) => {
  event.data.name satisfies unknown;
  return request.url === '' ? 503 : undefined;
});
express.createServer((request, response) => void onNode(request, response));

const worker = forFetch<Customer, [{ KV: string }]>('secret', (event, request, env) => {
  same<typeof event.data, Customer>(true);
  same<typeof env.KV, string>(true);
  return request.url ? new Response(event.data.name) : { status: 202, body: 'later' };
});
export default { fetch: worker };

export const options: FastifyWebhookOptions<Customer> = {
  secret: ['a', 'b'],
  url: '/hooks',
  handler: (event) => (event.data.name ? 204 : 500),
  origins: ['sender.example'],
};
void forFastify;
// @ts-expect-error a handler that answers with text
forFetch('secret', () => 'text');
