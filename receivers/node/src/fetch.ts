/** Fetch: anything that takes a `Request` and gives a `Response`: Workers, Deno, Bun, Next, Hono. */

import { Door, refusal, toAnswer, type Answer, type DoorOptions, type Result } from './door.js';
import type { WebhookEvent } from './index.js';

export type { Answer, DoorOptions, Result } from './door.js';

/**
 * Return a function that answers requests, and hands verified events to the handler.
 *
 * ```ts
 * export default { fetch: webhook(secret, async (event) => { … }) };
 * ```
 *
 * What comes after the request (the environment, the context) is handed on. The handler returns
 * nothing (204), a status, an `Answer` or a `Response`. What it throws goes to the caller. Throws
 * WebhookVerificationError 'bad_secret' at once for a secret that cannot verify anything.
 */
export function webhook<Data = any, Rest extends unknown[] = unknown[]>(
  secret: string | readonly string[],
  handler: (
    event: WebhookEvent<Data>,
    request: Request,
    ...rest: Rest
  ) => Result | Response | Promise<Result | Response>,
  options: DoorOptions = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  const door = new Door(secret, options);
  return async (request, ...rest) => {
    const early = door.early(request.method, (name) => request.headers.get(name));
    if (early) return toResponse(early);
    const body = await read(request, door);
    if (body !== undefined && 'status' in body) return toResponse(body);
    const verdict = await door.judge(body, request.headers);
    if ('answer' in verdict) return toResponse(verdict.answer);
    const result = await handler(verdict.event as WebhookEvent<Data>, request, ...rest);
    return result instanceof Response ? result : toResponse(toAnswer(result));
  };
}

/** Return the body, undefined where something read it first, or the answer to one not to be read. */
async function read(request: Request, door: Door): Promise<Uint8Array | undefined | Answer> {
  if (request.bodyUsed) return undefined;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > door.limit) {
        await reader.cancel();
        return door.tooLarge();
      }
      chunks.push(value);
    }
  } catch {
    return refusal(400, 'body: ended early');
  }
  return joined(chunks, size);
}

function joined(chunks: Uint8Array[], size: number): Uint8Array {
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body ?? null, { status, headers: headers ?? {} });
}
