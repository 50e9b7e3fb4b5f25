// The life cycle of everything, through the official client for Node: each step's result as a line.
// node cycle.mjs PACKAGE SERVER TOKEN PREFIX. Says what `cycle.py` says.
import { createServer } from "node:http";

const [pack, SERVER, TOKEN, PREFIX] = process.argv.slice(2);
const { Svix, Webhook } = await import(pack);
const PATIENCE = 20_000;
const schema = {
  type: "object",
  properties: { id: { type: "string", examples: ["cus_1", "cus_2"] } },
  required: ["id"],
};

const arrived = [];
const answers = {};
const waiting = new Set();
const receiver = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    arrived.push({ path: request.url, headers: request.headers, body: Buffer.concat(parts) });
    response.writeHead(answers[request.url] ?? 200).end("ok");
    for (const look of waiting) look();
  });
});
await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
const base = `http://127.0.0.1:${receiver.address().port}`;
const at = (path) => arrived.filter((each) => each.path === path);

function arrivals(path, n) {
  return new Promise((done) => {
    const look = () => {
      if (at(path).length < n) return;
      waiting.delete(look);
      clearTimeout(timer);
      done(at(path));
    };
    const timer = setTimeout(() => done(at(path)), PATIENCE);
    waiting.add(look);
    look();
  });
}

const say = (step, value) => console.log(JSON.stringify([step, value ?? null]));

async function error(call) {
  try {
    await call();
  } catch (problem) {
    if (problem.code === 422) return ["HTTPValidationError", 422, problem.body.detail[0].loc];
    if (problem.code) return ["HttpError", problem.code, problem.body.code];
    throw problem;
  }
  return "none";
}

async function until(ask, enough) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await ask();
    if (enough(found) || Date.now() > deadline) return found;
    await new Promise((done) => setTimeout(done, 20)); // no signal crosses this border
  }
}

async function pages(ask, name) {
  const read = async (iterator, next) => {
    const found = [];
    for (;;) {
      const page = await ask(iterator);
      found.push(page.data.map(name));
      if (page.done) return [found, page];
      iterator = next(page);
    }
  };
  const [forth, last] = await read(undefined, (page) => page.iterator);
  const [back] = await read(last.prevIterator, (page) => page.prevIterator);
  return [forth, back];
}

function verified(key, { headers, body }) {
  new Webhook(key).verify(body, headers);
  return JSON.parse(body);
}

const status = (each) => [each.status, each.responseStatusCode, each.triggerType];
const sorted = (list) => [...list].sort();
const svix = new Svix(TOKEN, { serverUrl: SERVER, retryScheduleInMs: [] });
const two = typeof svix.endpoint.upsert === "function";
const put = (resource, ...rest) => (two ? resource.upsert(...rest) : resource.update(...rest));
const WANTS = two ? "eventTypes" : "filterTypes";
const uid = `${PREFIX}-app`;
const [created, updated] = [`${PREFIX}.created`, `${PREFIX}.updated`];

// applications
const application = { name: "Acme", uid, metadata: { plan: "pro" }, throttleRate: 9 };
const app = await svix.application.create(application);
say("application", [app.name, app.uid, app.metadata, app.throttleRate, app.id.slice(0, 4)]);
say("application again", await error(() => svix.application.create(application)));
say("application ensured", (await svix.application.getOrCreate(application)).id === app.id);
say("application by uid", (await svix.application.get(uid)).id === app.id);
const patched = await svix.application.patch(uid, {
  throttleRate: null,
  metadata: { plan: "free" },
});
say("application patched", [
  patched.name,
  patched.uid,
  patched.metadata,
  patched.throttleRate ?? null,
]);
say("application put", (await put(svix.application, uid, { name: "New", uid })).name);
say("application made by put", (await put(svix.application, `${uid}-2`, { name: "Two" })).uid);
const apps = await pages(
  (iterator) => svix.application.list({ limit: 2, iterator }),
  (each) => each.uid,
);
const forth = apps[0].flat();
const back = apps[1].reverse().flat();
say("applications", [
  [uid, `${uid}-2`].filter((each) => !forth.includes(each)),
  JSON.stringify(forth.slice(0, back.length)) === JSON.stringify(back),
]);

// event types
for (const name of [created, updated])
  await svix.eventType.create({ name, description: "One", schemas: { 1: schema }, groupName: "g" });
say(
  "event type again",
  await error(() => svix.eventType.create({ name: created, description: "Two" })),
);
const kind = await svix.eventType.get(created);
say("event type", [kind.name === created, kind.description, kind.schemas, kind.groupName]);
const changed = await svix.eventType.patch(updated, { description: "Two" });
say("event type patched", [changed.description, changed.schemas, changed.archived]);
const made = await put(svix.eventType, `${PREFIX}.made`, { description: "Made" });
say("event type made by put", [made.description, made.deprecated]);
await svix.eventType.delete(`${PREFIX}.made`);
const counts = [];
for (const includeArchived of [false, true]) {
  const found = await svix.eventType.list({ limit: 250, includeArchived, withContent: true });
  counts.push(found.data.filter((each) => each.name.startsWith(`${PREFIX}.`)).length);
}
say("event types", counts);

// endpoints
const secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const first = await svix.endpoint.create(uid, {
  url: `${base}/first`,
  description: "First",
  throttleRate: 50,
  uid: "first",
  disabled: false,
  channels: ["red"],
  secret,
  metadata: { a: "b" },
  headers: { "X-Team": "orders" },
  [WANTS]: [created],
});
say("endpoint", [
  first.id.slice(0, 3),
  first.url === `${base}/first`,
  first.description,
  first.throttleRate,
  first.uid,
  first.disabled,
  first[WANTS].length === 1 && first[WANTS][0] === created,
  first.channels,
  first.metadata,
]);
say(
  "endpoint again",
  await error(() => svix.endpoint.create(uid, { url: first.url, uid: "first" })),
);
say("endpoint nowhere", await error(() => svix.endpoint.create(uid, { url: "ftp://x.example" })));
const second = await svix.endpoint.create(uid, { url: `${base}/second`, uid: "second" });
let third = await put(svix.endpoint, uid, "third", { url: `${base}/third` });
say("endpoint made by put", [third.uid, third[WANTS] ?? null]);
third = await put(svix.endpoint, uid, "third", {
  url: `${base}/third`,
  uid: "third",
  disabled: true,
});
say("endpoint put", [third.uid, third.disabled]);
await svix.endpoint.patch(uid, "third", { description: "3rd", channels: ["x"] });
third = await svix.endpoint.patch(uid, "third", { channels: null });
say("endpoint patched", [third.description, third.channels ?? null, third.disabled, third.uid]);
for (const order of ["ascending", "descending"])
  say(
    `endpoints ${order}`,
    await pages(
      (iterator) => svix.endpoint.list(uid, { limit: 2, iterator, order }),
      (each) => each.uid,
    ),
  );
await svix.endpoint.delete(uid, "third");
say("endpoint deleted", await error(() => svix.endpoint.get(uid, "third")));
const headers = { headers: { "X-Team": "billing", "X-Auth-Token": "t" } };
if (two) await svix.endpoint.setHeaders(uid, "first", headers);
else await svix.endpoint.updateHeaders(uid, "first", headers);
await svix.endpoint.patchHeaders(uid, "first", { headers: { "X-Other": "y" } });
const shown = await svix.endpoint.getHeaders(uid, "first");
say("headers", [shown.headers, shown.sensitive]);
say("secret", (await svix.endpoint.getSecret(uid, "first")).key === secret);

// messages
answers["/second"] = 500;
const messageIn = {
  eventType: created,
  eventId: "evt-1",
  payload: { id: "cus_1", name: "张三 😀" },
  channels: ["red"],
  tags: ["vip"],
};
const message = await svix.message.create(uid, messageIn, { withContent: true });
say("message", [
  message.id.slice(0, 4),
  message.eventId,
  message.payload,
  message.channels,
  message.tags,
]);
say("message again", await error(() => svix.message.create(uid, messageIn)));
const plain = { eventType: updated, payload: { id: "cus_2" } };
const same = [];
for (let n = 0; n < 2; n += 1)
  same.push(await svix.message.create(uid, plain, { idempotencyKey: `${PREFIX}-key` }));
say("message repeated", same[0].id === same[1].id);
const [arrival] = await arrivals("/first", 1);
say("verified", verified(secret, arrival));
say(
  "headers arrived",
  ["x-team", "x-auth-token", "x-other"].map((name) => arrival.headers[name]),
);
await arrivals("/second", 2);
say("by event id", (await svix.message.get(uid, "evt-1")).id === message.id);
const searches = {
  channel: { channel: "red" },
  tag: { tag: "vip" },
  type: { eventTypes: [updated] },
  before: { before: new Date("2020-01-01T00:00:00Z") },
  after: { after: new Date(Date.now() - 3_600_000) },
  none: { channel: "blue" },
};
for (const [what, options] of Object.entries(searches)) {
  const found = await svix.message.list(uid, { withContent: true, ...options });
  say(
    `messages by ${what}`,
    found.data.map((each) => each.payload.id),
  );
}
const bare = await svix.message.list(uid, { withContent: false });
say(
  "messages without content",
  bare.data.map((each) => each.payload),
);
const wanted = [];
for (const channels of [["red"], null])
  wanted.push((await svix.message.precheck(uid, { eventType: created, channels })).active);
say("precheck", wanted);

// attempts
const size = (n) => (found) => found.data.length === n;
const tried = svix.messageAttempt;
const attempts = await until(() => tried.listByMsg(uid, message.id), size(2));
say("attempts", attempts.data.map(status).sort((a, b) => a[0] - b[0]));
const failed = await tried.listByMsg(uid, message.id, { status: 2, statusCodeClass: 500 });
say(
  "failed attempts",
  failed.data.map((each) => each.endpointId === second.id),
);
const [one] = (
  await tried.listByMsg(uid, message.id, { endpointId: "first", withContent: true })
).data;
say("attempt", [one.response, one.url === first.url, one.endpointId === first.id]);
say("attempt by id", (await tried.get(uid, message.id, one.id)).response);
for (let n = 0; n < 3; n += 1)
  await svix.message.create(uid, { eventType: updated, payload: { id: `more_${n}` } });
await arrivals("/second", 5);
const found = await until(() => tried.listByEndpoint(uid, "second"), size(5));
const order = sorted(new Set(found.data.map((each) => each.msgId))).reverse();
let listed = await pages(
  (iterator) => tried.listByEndpoint(uid, "second", { limit: 2, iterator }),
  (each) => each.id,
);
say("attempt pages", [
  listed[0].map((page) => page.length),
  listed[1].map((page) => page.length),
  String(sorted(listed[0].flat())) === String(sorted(found.data.map((each) => each.id))),
]);
listed = await pages(
  (iterator) => tried.listAttemptedMessages(uid, "second", { limit: 2, iterator }),
  (each) => order.indexOf(each.id),
);
say("attempted messages", listed);
listed = await pages(
  (iterator) => tried.listAttemptedDestinations(uid, message.id, { limit: 1, iterator }),
  (each) => [each.uid, each.status, each.statusText],
);
say("destinations", listed);

// again
answers["/second"] = 200;
await tried.resend(uid, message.id, "second");
await arrivals("/second", 6);
const resent = await until(
  () => tried.listByMsg(uid, message.id, { endpointId: "second" }),
  size(2),
);
say("resent", resent.data.map(status));
const since = new Date(Date.now() - 3_600_000);
async function ended(task) {
  const done = await until(
    () => svix.backgroundTask.get(task.id),
    (each) => each.status === "finished",
  );
  return [done.task, done.status, done.id === task.id];
}
say("recover", await ended(await svix.endpoint.recover(uid, "second", { since })));
say("recovered", (await arrivals("/second", 10)).length);
await svix.endpoint.create(uid, { url: `${base}/late`, uid: "late" });
say("replay missing", await ended(await svix.endpoint.replayMissing(uid, "late", { since })));
const late = (await svix.endpoint.getSecret(uid, "late")).key;
say(
  "missing arrived",
  sorted((await arrivals("/late", 5)).map((each) => verified(late, each).id)),
);
await until(() => tried.listByEndpoint(uid, "late", { status: 0 }), size(5));
const task = await svix.endpoint.bulkReplay(uid, "late", {
  since,
  status: 0,
  eventTypes: [created],
  channel: "red",
  tag: "vip",
  statusCodeClass: 200,
});
say("bulk replay", await ended(task));
const bulk = await arrivals("/late", 6);
say("bulk arrived", [verified(late, bulk.at(-1)).id, bulk.length]);
const tasks = await svix.backgroundTask.list({ limit: 250 });
say(
  "tasks",
  tasks.data.some((each) => each.id === task.id),
);

// stats, secrets, examples
const stats = await until(
  () => svix.endpoint.getStats(uid, "late"),
  (each) => each.success === 6,
);
say("stats", [stats.success, stats.fail, stats.pending, stats.sending]);
const rotated = await svix.endpoint.rotateSecret(uid, "first", { gracePeriodSeconds: 3600 });
const fresh = (await svix.endpoint.getSecret(uid, "first")).key;
say("rotated", [fresh !== secret, rotated?.key === undefined || rotated.key === fresh]);
const example = await svix.endpoint.sendExample(uid, "first", {
  eventType: created,
  exampleIndex: 1,
});
const last = (await arrivals("/first", 2)).at(-1);
say(
  "example",
  [secret, fresh].map((key) => verified(key, last)),
);
try {
  verified("whsec_" + "A".repeat(32), last);
} catch (problem) {
  say("another secret", problem.constructor.name === "WebhookVerificationError" ? "refused" : 0);
}
await svix.message.expungeContent(uid, message.id);
const erased = await svix.message.list(uid, { tag: "vip", withContent: true });
say(
  "expunged",
  erased.data.map((each) => each.payload),
);
const [attempt] = (await until(() => tried.listByMsg(uid, example.id), size(1))).data;
await tried.expungeContent(uid, example.id, attempt.id);
say("answer expunged", (await tried.get(uid, example.id, attempt.id)).response);

// access
const options = { serverUrl: SERVER, retryScheduleInMs: [] };
let access = await svix.authentication.appPortalAccess(uid, { expiry: 3600 });
let portal = new Svix(access.token, options);
say("portal", [access.url.startsWith("http"), (await portal.endpoint.list(uid)).data.length]);
say("portal publishes", await error(() => portal.message.create(uid, plain)));
say("portal elsewhere", await error(() => portal.endpoint.list(`${uid}-2`)));
await portal.authentication.logout();
say("portal left", await error(() => portal.endpoint.list(uid)));
access = await svix.authentication.appPortalAccess(uid, {});
portal = new Svix(access.token, options);
await svix.authentication.expireAll(uid, {});
say("portal expired", await error(() => portal.endpoint.list(uid)));

// errors, the end
const stranger = new Svix("hk_nobody", options);
say("stranger", await error(() => stranger.application.list()));
say("nobody", await error(() => svix.application.get("nobody")));
say("no message", await error(() => svix.message.get(uid, "nothing")));
say("bad limit", await error(() => svix.application.list({ limit: 1000 })));
say("other iterator", await error(() => svix.message.list(uid, { iterator: first.id })));
await svix.application.delete(uid);
await svix.application.delete(`${uid}-2`);
say("application deleted", await error(() => svix.application.get(uid)));
say("gone with it", await error(() => svix.endpoint.get(uid, "first")));
process.exit(0);
