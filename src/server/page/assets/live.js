// The picture: the controller's state at an event, kept fresh by its stream. Every event says whose picture is old; that
// is asked for again, at most four times a second. When the stream is cut, the picture says how old it is, and the
// stream goes on where it stopped.

const REFRESH_MS = 250;
const VERSIONS = 8;
/** So many pipelines are asked for one by one; more, and everything is asked for at once. */
const ONE_BY_ONE = 8;

export const picture = {
  state: null,
  /** starting, live, cut, refused */
  link: "starting",
  cutAt: 0,
  who: null,
  problem: null,
};

const hearers = new Set();
const eventHearers = new Set();
/** The difference of the clocks, theirs minus ours, in milliseconds. */
let skew = 0;
let socket = null;
let last = 0;
let dirty = new Set();
let everything = false;
let asking = false;
let timer = 0;
let attempt = 0;
let retry = 0;

/** What time it is at the controller, in milliseconds. */
export const now = () => Date.now() + skew;

export const hear = (hearer) => (hearers.add(hearer), () => hearers.delete(hearer));
export const hearEvents = (hearer) => (eventHearers.add(hearer), () => eventHearers.delete(hearer));
const tell = () => hearers.forEach((hearer) => hearer());

/** An answer that is not what was hoped for: the controller's own words. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `the controller answered ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
    this.help = body?.help ?? "";
  }
}

/** Asks the controller. */
export async function ask(path, body, key) {
  const options = { headers: { Accept: "application/json" }, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
    if (key) options.headers["Idempotency-Key"] = key;
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem(0, { detail: "the controller does not answer", help: "is it running, and is the network up?" });
  }
  const kind = answer.headers.get("content-type") ?? "";
  const value = kind.includes("json") ? await answer.json().catch(() => null) : null;
  if (!answer.ok) throw new Problem(answer.status, value);
  return value;
}

const tries = (all) => all.forEach((one) => (one.blockers ??= []));

/** What is empty is not sent; whoever reads shall not have to ask. */
export function whole(pipeline) {
  pipeline.rejected ??= [];
  pipeline.schedules ??= [];
  pipeline.queue.concat(pipeline.build?.request ?? []).forEach((one) => (one.blockers ??= []));
  for (const tier of pipeline.tiers) {
    tier.backups ??= [];
    tier.unsupported ??= [];
    tier.waiting.forEach((one) => (one.confirmations ??= []));
    for (const part of [tier.inside, tier.going_back, tier.redeploy]) {
      if (!part) continue;
      part.blockers ??= [];
      part.gates ??= [];
      tries(part.nodes);
    }
  }
  return pipeline;
}

function place(fresh) {
  const pipeline = whole(fresh);
  const all = picture.state.pipelines;
  const found = all.findIndex((one) => one.name === pipeline.name);
  if (found < 0) {
    all.push(pipeline);
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
  } else if (JSON.stringify(all[found]) !== JSON.stringify(pipeline)) {
    all[found] = pipeline;
  }
}

function take(state) {
  const before = new Map((picture.state?.pipelines ?? []).map((one) => [one.name, one]));
  const texts = (one) => JSON.stringify(one);
  state.troubles ??= [];
  state.notices ??= [];
  // What did not change stays the same object.
  state.pipelines = state.pipelines.map(whole).map((one) => {
    const old = before.get(one.name);
    return old && texts(old) === texts(one) ? old : one;
  });
  picture.state = state;
  skew = Date.parse(state.at) - Date.now();
}

async function refresh(also) {
  timer = 0;
  if (asking) return;
  asking = true;
  const names = [...dirty];
  const all = everything || names.length > ONE_BY_ONE || !picture.state;
  dirty = new Set();
  everything = false;
  try {
    if (all) {
      take(await ask(`/api/state?limit=${VERSIONS}`));
    } else {
      await Promise.all(names.map(async (name) => {
        try {
          const one = await ask(`/api/pipelines/${encodeURIComponent(name)}?limit=${VERSIONS}`);
          skew = Date.parse(one.at) - Date.now();
          picture.state.id = Math.max(picture.state.id, one.id);
          picture.state.standstill = one.standstill;
          picture.state.troubles = one.troubles ?? [];
          place(one.pipeline);
        } catch (problem) {
          if (problem.status !== 404) throw problem;
          everything = true;
        }
      }));
    }
    picture.problem = null;
  } catch (problem) {
    picture.problem = problem;
    everything = true;
    if (problem.status === 401 || problem.status === 403) {
      picture.link = "refused";
      socket?.close();
    }
  }
  await also;
  asking = false;
  tell();
  if ((dirty.size || everything) && picture.link === "live") schedule();
}

function schedule() {
  if (!timer && !asking) timer = setTimeout(refresh, REFRESH_MS);
}

function heard(event) {
  if (event.id) last = Math.max(last, event.id);
  // Retention took what came next, or more was missed than can be told.
  if (event.kind === "gap" || event.kind === "lagged") everything = true;
  if (event.kind === "error") last = 0;
  if (event.pipeline) dirty.add(event.pipeline);
  else if (event.id) everything = true;
  eventHearers.forEach((hearer) => hearer(event));
  schedule();
}

function open() {
  const url = new URL(`/events?since=${last}&logs=false`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = () => {
    attempt = 0;
    picture.link = "live";
    everything = true;
    schedule();
    tell();
  };
  mine.onmessage = (message) => heard(JSON.parse(message.data));
  mine.onclose = () => socket === mine && cut();
}

function cut() {
  socket = null;
  if (picture.link === "refused") return;
  if (picture.link !== "cut") picture.cutAt = Date.now();
  picture.link = "cut";
  tell();
  const longest = document.hidden ? 10000 : 2000;
  clearTimeout(retry);
  retry = setTimeout(again, Math.min(longest, 400 * 2 ** attempt++) * (0.8 + Math.random() * 0.4));
}

async function again() {
  if (socket || picture.link === "refused") return;
  clearTimeout(retry);
  if (!picture.who) picture.who = await ask("/api/whoami").catch(() => null);
  await refresh();
  if (socket) return;
  if (picture.problem) return picture.link === "refused" ? undefined : cut();
  last = Math.max(last, 0) || picture.state.id;
  open();
}

/** Begins, or begins again after a sign-in. */
export async function begin() {
  picture.link = "starting";
  picture.problem = null;
  everything = true;
  // Side by side: who one is says nothing of what is where. Nothing is drawn before both are known.
  const who = ask("/api/whoami").catch(() => null).then((who) => void (picture.who = who));
  await refresh(who);
  if (picture.link === "refused") return;
  if (!picture.state) return cut();
  last = picture.state.id;
  open();
}

/** Ends the stream: somebody signed in or out, and it is another one's now. */
export function restart() {
  const old = socket;
  socket = null;
  old?.close();
  return begin();
}

addEventListener("online", () => picture.link === "cut" && again());
document.addEventListener("visibilitychange", () => !document.hidden && picture.link === "cut" && again());
