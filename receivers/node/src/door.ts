/** What every adapter does with a request, whichever framework it comes from. */

import {
  checkSecrets,
  verify,
  WebhookVerificationError,
  type HeaderSource,
  type VerifyOptions,
  type WebhookEvent,
} from './index.js';

/** Bytes of the largest body an adapter reads unless told otherwise: what Hookline sends at most. */
export const BODY_LIMIT = 1024 * 1024;

/** What an adapter answers; a handler may return one. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** What a handler may return: nothing is 204, a number is a status. */
export type Result = Answer | number | void | undefined;

export interface DoorOptions extends VerifyOptions {
  /** Bytes of the largest body, 1 MiB unless given; more is answered with 413. */
  limit?: number;
  /** Senders whose CloudEvents handshake (`OPTIONS`) is granted, '*' for any; none by default. */
  origins?: readonly string[];
  /** Requests a minute granted in that handshake; any number unless given. */
  rate?: number;
  /** Told of each refusal, for the log. */
  onRefused?: (error: WebhookVerificationError) => void;
}

/** A body that ended early, or is too large. */
export class BodyError extends Error {
  constructor(
    readonly status: 400 | 413,
    message: string,
  ) {
    super(message);
  }
}

/** One route, its options checked when the application is built. */
export class Door {
  readonly limit: number;
  readonly #secrets: string[];
  readonly #options: DoorOptions;
  readonly #origins: Set<string>;

  constructor(secret: string | readonly string[], options: DoorOptions = {}) {
    this.#secrets = checkSecrets(secret);
    this.#options = options;
    this.#origins = new Set((options.origins ?? []).map((each) => each.toLowerCase()));
    this.limit = options.limit ?? BODY_LIMIT;
  }

  /** Return the answer that needs no body, or null to go on and read it. */
  early(method: string, header: (name: string) => string | null | undefined): Answer | null {
    const allow = this.#origins.size > 0 ? 'POST, OPTIONS' : 'POST';
    if (method === 'OPTIONS' && this.#origins.size > 0) {
      return this.#handshake(header('webhook-request-origin'), allow);
    }
    if (method !== 'POST') return refusal(405, 'method: a webhook is a POST', { Allow: allow });
    const length = header('content-length');
    if (length && Number(length) > this.limit) return this.tooLarge();
    return null;
  }

  tooLarge(): Answer {
    return refusal(413, `body: larger than ${this.limit} bytes`);
  }

  // CloudEvents 1.0, HTTP 1.1 Web Hooks, §4: permission is given by naming the origin.
  #handshake(origin: string | null | undefined, allow: string): Answer {
    if (!origin) return refusal(400, 'WebHook-Request-Origin: missing');
    if (!this.#origins.has('*') && !this.#origins.has(origin.toLowerCase())) {
      return refusal(403, 'WebHook-Request-Origin: not one of the origins allowed here');
    }
    return {
      status: 200,
      headers: {
        Allow: allow,
        'WebHook-Allowed-Origin': origin,
        'WebHook-Allowed-Rate': String(this.#options.rate ?? '*'),
      },
    };
  }

  /** Return the verified event, or the answer to what is none or needs no handler. */
  async judge(
    body: unknown,
    headers: HeaderSource,
  ): Promise<{ event: WebhookEvent } | { answer: Answer }> {
    let event: WebhookEvent;
    try {
      event = await verify(body as Uint8Array, headers, this.#secrets, this.#options);
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      this.#options.onRefused?.(error);
      // A body that was parsed first is the receiver's fault: nothing the sender changes would help.
      const status = { bad_body: 400, body_parsed: 500 }[error.reason as string] ?? 401;
      return { answer: refusal(status, error.message) };
    }
    const data = event.data as { challenge?: unknown } | null;
    if (event.type === 'webhook.challenge' && typeof data?.challenge === 'string') {
      return { answer: json(200, { challenge: data.challenge }) };
    }
    return { event };
  }
}

/** Return the answer that a handler's result means. */
export function toAnswer(result: unknown): Answer {
  if (result === undefined || result === null) return { status: 204 };
  if (typeof result === 'number') return { status: result };
  if (typeof result === 'object' && typeof (result as Answer).status === 'number') {
    return result as Answer;
  }
  throw new TypeError(
    `a webhook handler returned a ${typeof result}; expected nothing, a status or { status, body }`,
  );
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  const all = { 'Content-Type': 'application/json', ...headers };
  return { status, headers: all, body: JSON.stringify(value) };
}

/** An answer that says what is wrong. */
export function refusal(status: number, detail: string, headers?: Record<string, string>): Answer {
  return json(status, { detail }, headers);
}
