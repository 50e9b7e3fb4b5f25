/** Express 4 and 5, and anything whose handlers take Node's request and response. */

import { BodyError, Door, toAnswer, type Answer, type DoorOptions, type Result } from './door.js';
import { refusal } from './door.js';
import type { WebhookEvent } from './index.js';

export type { Answer, DoorOptions, Result } from './door.js';

/** The part of Node's (and Express's) request that is used here. */
export interface NodeRequest {
  method?: string | undefined;
  headers: Record<string, string | string[] | undefined>;
  body?: unknown;
  rawBody?: unknown;
  readableDidRead?: boolean;
  on(event: string, listener: (...values: any[]) => void): unknown;
  off(event: string, listener: (...values: any[]) => void): unknown;
  resume(): unknown;
}

/** The part of Node's response that is used here. */
export interface NodeResponse {
  headersSent: boolean;
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body?: string): unknown;
}

/**
 * Return a request handler that verifies, and hands events to the handler.
 *
 * ```ts
 * app.post('/webhook', webhook(secret, async (event) => { … }));
 * ```
 *
 * It reads the raw body itself, so no parser is needed; it takes what `express.raw()` left in
 * `req.body`, or a platform in `req.rawBody`. Where a JSON parser ran first it answers 500 and says
 * so. The handler returns nothing (204), a status or an `Answer`, or answers through `response`
 * itself. What it throws goes to `next`. Throws WebhookVerificationError 'bad_secret' at once for a
 * secret that cannot verify anything.
 */
export function webhook<
  Data = any,
  Req extends NodeRequest = any,
  Res extends NodeResponse = any,
>(
  secret: string | readonly string[],
  handler: (event: WebhookEvent<Data>, request: Req, response: Res) => Result | Promise<Result>,
  options: DoorOptions = {},
): (request: Req, response: Res, next?: (error?: unknown) => void) => Promise<void> {
  const door = new Door(secret, options);
  return async (request, response, next) => {
    try {
      const verdict = await judged(door, request);
      if ('answer' in verdict) {
        send(response, verdict.answer);
        return;
      }
      const result = await handler(verdict.event as WebhookEvent<Data>, request, response);
      if (!response.headersSent) send(response, toAnswer(result));
    } catch (error) {
      if (next) next(error);
      else throw error;
    }
  };
}

async function judged(
  door: Door,
  request: NodeRequest,
): Promise<{ event: WebhookEvent } | { answer: Answer }> {
  const early = door.early(request.method ?? '', (name) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  });
  if (early) return { answer: early };
  try {
    const body = await rawBody(request, door.limit);
    if (body instanceof Uint8Array && body.length > door.limit) return { answer: door.tooLarge() };
    return await door.judge(body, request.headers);
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    return { answer: error.status === 413 ? door.tooLarge() : refusal(400, error.message) };
  }
}

/** Return the body's bytes, or what a parser made of it. */
async function rawBody(request: NodeRequest, limit: number): Promise<unknown> {
  if (request.rawBody instanceof Uint8Array || typeof request.rawBody === 'string') {
    return request.rawBody;
  }
  if (request.body instanceof Uint8Array || typeof request.body === 'string') return request.body;
  if (request.readableDidRead) return request.body;
  return read(request, limit);
}

function read(request: NodeRequest, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const onData = (chunk: Uint8Array): void => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      // What is left is read and dropped, so that the answer can be received.
      else done(() => reject(new BodyError(413, 'body: too large')));
    };
    const onEnd = (): void => done(() => resolve(concat(chunks, size)));
    const onError = (): void => done(() => reject(new BodyError(400, 'body: ended early')));
    const done = (settle: () => void): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('aborted', onError);
      settle();
      request.resume();
    };
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('aborted', onError);
    request.on('error', onError);
  });
}

function concat(chunks: Uint8Array[], size: number): Uint8Array {
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function send(response: NodeResponse, answer: Answer): void {
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  response.end(answer.body);
}
