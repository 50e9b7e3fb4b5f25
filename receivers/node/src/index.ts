/**
 * Verify the webhooks that arrive, with the Web Crypto API: Node 18 and newer, and the edge.
 *
 * ```ts
 * const event = await verify(body, headers, 'your-secret-key'); // body: the raw bytes
 * ```
 *
 * Two signatures may come with a request (Hookline sends both):
 *
 * - Standard Webhooks 1.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`, or the same
 *   three under their `svix-` names) signs id, time and body;
 * - `X-Webhook-Signature: sha256=<hex>` signs the body alone.
 *
 * Where a Standard Webhooks signature is present, it alone decides. A receiver that knows its
 * sender sends both says `scheme: 'standard'`: then an old request cannot be played again.
 */

/** Why a webhook was refused. */
export type Reason =
  | 'no_signature'
  | 'bad_signature'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'malformed'
  /** The signature fits, but the body is not JSON. */
  | 'bad_body'
  /** The body was parsed before it could be verified: your application, not the sender's fault. */
  | 'body_parsed'
  /** The receiver's own secret is unusable: your configuration, not the sender's fault. */
  | 'bad_secret';

/** What arrived was not verified: the only error that arriving data can cause. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
  /** The code to branch on; the message holds neither secret nor signature. */
  readonly reason: Reason;

  constructor(reason: Reason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A verified webhook. `attempt` is not signed: it is for logs. */
export interface WebhookEvent<Data = unknown> {
  /** The message id, the same on every retry; null where the sender gave none. */
  id: string | null;
  /** The event type: `event` of the envelope, else `type`; '' where the body has none. */
  type: string;
  /** `data` of the envelope; the whole payload where there is no such key. */
  data: Data;
  /** When the event happened; null where the body does not say. */
  timestamp: Date | null;
  metadata: Record<string, unknown>;
  /** 1, 2, 3 …; null where the sender does not say. */
  attempt: number | null;
  /** When this attempt was signed; null with `X-Webhook-Signature` alone. */
  sentAt: Date | null;
  /** Which signature was verified. */
  scheme: 'standard' | 'guide';
  /** The whole body as parsed JSON. */
  payload: unknown;
  /** The body as it arrived. */
  body: Uint8Array;
}

/**
 * Headers as any framework hands them over: a Fetch `Headers`, Node's `req.headers` (values may be
 * arrays) or `req.rawHeaders`, a `Map`, a list of pairs; names in any case.
 */
export type HeaderSource =
  | { forEach(each: (value: string, name: string) => void): void }
  | Iterable<readonly [string, string | readonly string[] | undefined]>
  | readonly string[]
  | object;

/** The raw body of a request. */
export type RawBody = Uint8Array | ArrayBuffer | string;

export interface VerifyOptions {
  /** Seconds a signed time may be off, either way: 300 unless given; Infinity for any age. */
  tolerance?: number;
  /** The time in Unix seconds, for tests. */
  now?: number;
  /** 'standard' or 'guide' insists on one signature; 'any' takes Standard Webhooks, else the other. */
  scheme?: 'any' | 'standard' | 'guide';
}

/** Seconds a timestamp may be off, either way (Standard Webhooks 1.0). */
export const TOLERANCE = 300;

/**
 * Return the event of a webhook whose signature fits.
 *
 * `secret` is the endpoint's, or several while one replaces another. Rejects with
 * WebhookVerificationError, and nothing else, whatever arrives. The signature is checked before the
 * body is parsed, in constant time.
 */
export async function verify<Data = unknown>(
  body: RawBody,
  headers: HeaderSource,
  secret: string | readonly string[],
  options: VerifyOptions = {},
): Promise<WebhookEvent<Data>> {
  const { tolerance = TOLERANCE, now = Date.now() / 1000, scheme = 'any' } = options;
  if (scheme !== 'any' && scheme !== 'standard' && scheme !== 'guide') {
    throw new TypeError(`scheme: expected 'any', 'standard' or 'guide', got ${String(scheme)}`);
  }
  const raw = rawBytes(body);
  const secrets = checkSecrets(secret);
  const found = known(headers);
  const family = FAMILIES.find((each) => found.has(`${each}-signature`));
  if (scheme === 'standard' || (scheme === 'any' && family !== undefined)) {
    const { id, sent } = await checkStandard(raw, found, family, secrets);
    checkAge(sent, tolerance, now);
    return toEvent<Data>(raw, found, 'standard', id, sent);
  }
  await checkGuide(raw, found, secrets);
  return toEvent<Data>(raw, found, 'guide', single(found, 'webhook-id'), null);
}

/**
 * Tell whether `X-Webhook-Signature` fits the raw body; `sha256=` may be missing.
 *
 * Resolves to false, and never rejects, for a signature that is missing, short or malformed.
 */
export async function verifySignature(
  body: RawBody,
  signature: string | null | undefined,
  secret: string,
): Promise<boolean> {
  if (typeof signature !== 'string' || typeof secret !== 'string' || secret === '') return false;
  try {
    return await fits(utf8(secret), fromHex(signature.trim()), rawBytes(body));
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

// What came in ------------------------------------------------------------------------------------

const encoder = new TextEncoder();

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text) as Uint8Array<ArrayBuffer>;
}

const PARSED =
  'the raw bytes are needed, and this body was parsed first, so what was signed is gone. ' +
  "Express: use webhook() of 'hookline-webhooks/express', or express.raw({ type: '*/*', limit: " +
  "'1mb' }), on this route, before express.json(). Fastify: register the plugin of " +
  "'hookline-webhooks/fastify'. Elsewhere: read the body as text or bytes, not as JSON";

function rawBytes(body: unknown): Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return utf8(body);
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>;
  // Not instanceof: a buffer may come from another realm.
  if (Object.prototype.toString.call(body) === '[object ArrayBuffer]') {
    return new Uint8Array(body as ArrayBuffer);
  }
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength);
  }
  const kind = body === null ? 'null' : Array.isArray(body) ? 'an array' : `a ${typeof body}`;
  throw new WebhookVerificationError(
    'body_parsed',
    body === undefined
      ? `body: there is none; ${PARSED}`
      : `body: expected bytes or text, got ${kind.replace('a object', 'an object')}; ${PARSED}`,
  );
}

const PREFIX = 'whsec_';

/** Return the secrets when each can sign; throws WebhookVerificationError 'bad_secret'. */
export function checkSecrets(secret: string | readonly string[]): string[] {
  const secrets = typeof secret === 'string' ? [secret] : Array.isArray(secret) ? [...secret] : [];
  if (secrets.length === 0) bad('none given');
  for (const each of secrets as unknown[]) {
    if (typeof each !== 'string') bad(`expected text, got ${typeof each}`);
    if (each === '') bad('empty');
    if (each !== (each as string).trim()) bad('has leading or trailing white space');
    if ((each as string).startsWith(PREFIX)) standardKey(each as string);
  }
  return secrets;

  function bad(what: string): never {
    throw new WebhookVerificationError('bad_secret', `secret: ${what}`);
  }
}

/** `whsec_` and base64: the decoded bytes; any other text: its UTF-8 bytes. */
function standardKey(secret: string): Uint8Array<ArrayBuffer> {
  if (!secret.startsWith(PREFIX)) return utf8(secret);
  const key = fromBase64(secret.slice(PREFIX.length));
  if (key === null || key.length < 24 || key.length > 64) {
    throw new WebhookVerificationError(
      'bad_secret',
      "secret: 'whsec_' must be followed by the base64 of 24 to 64 bytes (standard alphabet)",
    );
  }
  return key;
}

const GUIDE = 'x-webhook-signature';
const ATTEMPT = 'x-webhook-attempt';
const FAMILIES = ['webhook', 'svix'] as const;
type Family = (typeof FAMILIES)[number];
const NAMES = new Set<string>([
  GUIDE,
  ATTEMPT,
  ...FAMILIES.flatMap((each) => [`${each}-id`, `${each}-timestamp`, `${each}-signature`]),
]);
type Found = Map<string, string[]>;

function known(headers: unknown): Found {
  const found: Found = new Map();
  for (const [name, value] of pairs(headers)) {
    if (typeof name !== 'string') continue;
    const key = name.toLowerCase().replace(/_/g, '-');
    if (!NAMES.has(key)) continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each === undefined || each === null) continue;
      if (typeof each !== 'string' && typeof each !== 'number') {
        throw new WebhookVerificationError('malformed', `${key}: expected text, got ${typeof each}`);
      }
      const text = String(each).trim();
      if (text !== '') found.set(key, [...(found.get(key) ?? []), text]);
    }
  }
  return found;
}

/** Return name and value of each header, whatever holds them. */
function* pairs(headers: any): Generator<[unknown, unknown]> {
  if (headers === null || (typeof headers !== 'object' && typeof headers !== 'function')) {
    throw new WebhookVerificationError(
      'malformed',
      `headers: expected Headers, an object or a list, got ${headers === null ? 'null' : typeof headers}`,
    );
  }
  if (typeof headers.entries === 'function' && !Array.isArray(headers)) {
    yield* headers.entries();
  } else if (Array.isArray(headers) && headers.every((each) => typeof each === 'string')) {
    // Node's rawHeaders: names and values in turn.
    for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at], headers[at + 1]];
  } else if (typeof headers[Symbol.iterator] === 'function') {
    for (const pair of headers) {
      if (!Array.isArray(pair)) {
        throw new WebhookVerificationError('malformed', 'headers: expected [name, value] pairs');
      }
      yield [pair[0], pair[1]];
    }
  } else if (typeof headers.forEach === 'function') {
    const all: [unknown, unknown][] = [];
    headers.forEach((value: unknown, name: unknown) => all.push([name, value]));
    yield* all;
  } else {
    yield* Object.entries(headers);
  }
}

function single(found: Found, name: string): string | null {
  const values = new Set(found.get(name));
  if (values.size > 1) {
    throw new WebhookVerificationError('malformed', `${name}: came twice, with different values`);
  }
  return [...values][0] ?? null;
}

// Signatures --------------------------------------------------------------------------------------

// Visible ASCII without the full stop, which separates the signed parts.
const ID = /^[!-\-/-~]{1,256}$/;
const SECONDS = /^[0-9]{1,11}$/;

async function checkStandard(
  raw: Uint8Array<ArrayBuffer>,
  found: Found,
  family: Family | undefined,
  secrets: string[],
): Promise<{ id: string; sent: number }> {
  if (family === undefined) {
    throw new WebhookVerificationError(
      'no_signature',
      'no webhook-signature header: the endpoint has no secret, ' +
        'or something before this code removes headers',
    );
  }
  const id = part(found, `${family}-id`, ID, "1 to 256 visible ASCII characters, no '.'");
  const sent = part(found, `${family}-timestamp`, SECONDS, 'whole Unix seconds, as 1760697000');
  const head = utf8(`${id}.${Number(sent)}.`);
  const content = new Uint8Array(head.length + raw.length);
  content.set(head);
  content.set(raw, head.length);
  const values = found.get(`${family}-signature`) ?? [];
  const signatures = values
    .flatMap((value) => value.split(/[\s,]+(?=v\d+[a-z]*,)|\s+/)) // several headers may come joined by commas
    .filter((item) => item.startsWith('v1,'))
    .map((item) => fromBase64(item.slice(3), true));
  if (!(await anyFits(secrets.map(standardKey), signatures, content))) {
    throw new WebhookVerificationError(
      'bad_signature',
      `${family}-signature: does not fit; check that the secret is this endpoint's, ` +
        'and that the body is the raw bytes, not JSON that was parsed and written anew',
    );
  }
  return { id, sent: Number(sent) };
}

function part(found: Found, name: string, pattern: RegExp, expected: string): string {
  const value = single(found, name);
  if (value === null) {
    throw new WebhookVerificationError('malformed', `${name}: missing beside the signature`);
  }
  if (!pattern.test(value)) {
    throw new WebhookVerificationError('malformed', `${name}: expected ${expected}`);
  }
  return value;
}

async function checkGuide(
  raw: Uint8Array<ArrayBuffer>,
  found: Found,
  secrets: string[],
): Promise<void> {
  const values = found.get(GUIDE);
  if (values === undefined) {
    throw new WebhookVerificationError(
      'no_signature',
      'no X-Webhook-Signature or webhook-signature header: the endpoint has no secret, ' +
        'or something before this code removes headers',
    );
  }
  if (!(await anyFits(secrets.map(utf8), values.map(fromHex), raw))) {
    throw new WebhookVerificationError(
      'bad_signature',
      "X-Webhook-Signature: does not fit; check that the secret is this endpoint's, " +
        'and that the body is the raw bytes, not JSON that was parsed and written anew',
    );
  }
}

async function anyFits(
  keys: Uint8Array<ArrayBuffer>[],
  signatures: (Uint8Array<ArrayBuffer> | null)[],
  content: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  // Every signature meets every key, so the time taken does not tell which one fitted.
  let any = false;
  for (const key of keys) {
    for (const signature of signatures) any = (await fits(key, signature, content)) || any;
  }
  return any;
}

let subtle: Promise<SubtleCrypto> | undefined;

async function findSubtle(): Promise<SubtleCrypto> {
  if (globalThis.crypto?.subtle) return globalThis.crypto.subtle;
  // Node 18 has no global; a name that bundlers for the edge do not follow.
  const name = 'node:crypto';
  const { webcrypto } = (await import(name)) as { webcrypto: Crypto };
  return webcrypto.subtle;
}

async function fits(
  key: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer> | null,
  content: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  // `verify` takes constant time, and a length that is wrong is false, not an error.
  const crypto = await (subtle ??= findSubtle());
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.importKey('raw', key, algorithm, false, ['verify']);
  return crypto.verify('HMAC', imported, signature ?? new Uint8Array(), content);
}

function fromHex(value: string): Uint8Array<ArrayBuffer> | null {
  const hex = value.startsWith('sha256=') ? value.slice(7) : value;
  if (!/^[0-9a-f]{64}$/.test(hex)) return null;
  const bytes = new Uint8Array(32);
  for (let at = 0; at < 32; at += 1) bytes[at] = parseInt(hex.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}

function fromBase64(value: string, padded = false): Uint8Array<ArrayBuffer> | null {
  const full = padded ? value : value + '='.repeat((4 - (value.length % 4)) % 4);
  if (full.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(full)) return null;
  const text = atob(full);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function checkAge(sent: number, tolerance: number, now: number): void {
  // Negated, so that a tolerance of NaN refuses everything instead of nothing.
  if (!(now - sent <= tolerance)) {
    throw new WebhookVerificationError(
      'timestamp_too_old',
      `webhook-timestamp: ${Math.round(now - sent)} s old, at most ${tolerance} s are accepted; ` +
        "a replay, or this machine's clock is wrong",
    );
  }
  if (!(sent - now <= tolerance)) {
    throw new WebhookVerificationError(
      'timestamp_too_new',
      `webhook-timestamp: ${Math.round(sent - now)} s in the future, at most ${tolerance} s are ` +
        'accepted; one of the two clocks is wrong',
    );
  }
}

// The event ---------------------------------------------------------------------------------------

function toEvent<Data>(
  raw: Uint8Array,
  found: Found,
  scheme: 'standard' | 'guide',
  id: string | null,
  sent: number | null,
): WebhookEvent<Data> {
  const payload = parse(raw);
  const envelope: Record<string, unknown> = isObject(payload) ? payload : {};
  const type = [envelope.event, envelope.type].find((each) => typeof each === 'string');
  const attempt = found.get(ATTEMPT)?.[0] ?? '';
  const moment = typeof envelope.timestamp === 'string' ? new Date(envelope.timestamp) : null;
  return {
    id,
    type: (type as string | undefined) ?? '',
    data: (Object.hasOwn(envelope, 'data') ? envelope.data : payload) as Data,
    timestamp: moment !== null && !Number.isNaN(moment.getTime()) ? moment : null,
    metadata: isObject(envelope.metadata) ? envelope.metadata : {},
    attempt: SECONDS.test(attempt) ? Number(attempt) : null,
    sentAt: sent === null ? null : new Date(sent * 1000),
    scheme,
    payload,
    body: raw,
  };
}

function parse(raw: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw));
  } catch {
    throw new WebhookVerificationError(
      'bad_body',
      'body: the signature fits, but this is not JSON in UTF-8',
    );
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
