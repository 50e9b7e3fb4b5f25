/** Fastify 4 and 5: a plugin with one route, whose body stays raw. */

import { Door, toAnswer, type Answer, type DoorOptions, type Result } from './door.js';
import type { WebhookEvent } from './index.js';

export type { Answer, DoorOptions, Result } from './door.js';

export interface FastifyWebhookOptions<Data = any> extends DoorOptions {
  /** The route's path, '/webhook' unless given. */
  url?: string;
  secret: string | readonly string[];
  /** Returns nothing (204), a status or an `Answer`; what it throws goes to Fastify. */
  handler: (event: WebhookEvent<Data>, request: any, reply: any) => Result | Promise<Result>;
}

/**
 * A Fastify plugin: `fastify.register(webhook, { url: '/webhook', secret, handler })`.
 *
 * Its parser keeps bodies raw on this route only: the application's own parsers stay as they are.
 * Throws WebhookVerificationError 'bad_secret' when registered with a secret that cannot verify
 * anything.
 */
export async function webhook<Data = any>(
  fastify: any,
  { url = '/webhook', secret, handler, ...options }: FastifyWebhookOptions<Data>,
): Promise<void> {
  const door = new Door(secret, options);
  fastify.removeAllContentTypeParsers();
  const raw = { parseAs: 'buffer', bodyLimit: door.limit };
  fastify.addContentTypeParser('*', raw, (_: unknown, body: unknown, done: any) => done(null, body));
  fastify.setErrorHandler((error: { statusCode?: number }, _: unknown, reply: any) => {
    if (error.statusCode !== 413) throw error;
    return send(reply, door.tooLarge());
  });
  fastify.route({
    method: options.origins?.length ? ['POST', 'OPTIONS'] : ['POST'],
    url,
    bodyLimit: door.limit,
    handler: async (request: any, reply: any) => {
      const early = door.early(request.method, (name) => request.headers[name]);
      if (early) return send(reply, early);
      const verdict = await door.judge(request.body ?? new Uint8Array(), request.headers);
      if ('answer' in verdict) return send(reply, verdict.answer);
      const result = await handler(verdict.event as WebhookEvent<Data>, request, reply);
      return reply.sent ? reply : send(reply, toAnswer(result));
    },
  });
}

function send(reply: any, { status, headers, body }: Answer): any {
  return reply.code(status).headers(headers ?? {}).send(body);
}
