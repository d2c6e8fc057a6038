// Subscriptions. GraphiQL ends one when its tab is left; here it goes on, and the panel "Live" shows what comes. A
// connection that breaks is made again, and the feed goes on where it was.

import { createClient } from 'graphql-ws';
import { firstName, personOf, sideOf } from './people.js';
import { resumable } from './resume.js';
import { store } from './store.js';
import { followTabs, isThere, openTab } from './tabs.js';

/**
 * The newest first: { id, tab, title, who, state, reason, events, count, again, missed }. `again` tells how often the
 * connection was made again, and `missed` how many events of the time without it have come; none where there is no telling.
 */
export const watchers = store([]);

const MOST_EVENTS = 100;
/** After how long the connection is tried again, in milliseconds: twice as long each time, up to the longest. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** How a connection is closed that may be made again: it broke, or the server ends or has no room. */
const BROKEN = [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4408];
/** Where the feed is now: the query has the newest first. */
const NEWEST = '{ activity(first: 1) { edges { node { cursor at } } } }';
const running = new Map();
let last = 0;

function change(id, fields) {
  watchers.set((all) =>
    all.map((it) => (it.id === id ? { ...it, ...(typeof fields === 'function' ? fields(it) : fields) } : it)),
  );
}

/** Starts one for a tab, in the place of the one that it had. `ask` sends a query as the same person. */
export function watch(tab, payload, title, headers, ask) {
  for (const it of watchers.get()) if (it.tab === tab) remove(it.id);
  const id = ++last;
  const person = personOf(tab);
  const who = person && { name: firstName(person), side: sideOf(person), full: `${person.name}, ${person.companyName}` };
  const fresh = { id, tab, title, who, state: 'connecting', events: [], count: 0, again: 0, missed: null };
  watchers.set((all) => [fresh, ...all]);
  const listeners = new Set();
  const tell = (kind, value) => listeners.forEach((listener) => listener[kind]?.(value));
  const feed = resumable(payload);
  let client;
  let timer;
  let pauses = 0;
  // Where the feed was when the connection was made: what comes from before was missed.
  let cursor;
  let seenUntil = null;

  const over = (reason) => {
    if (!running.delete(id)) return;
    clearTimeout(timer);
    // Disposing of the client completes what ran on it.
    void client?.dispose();
    change(id, { state: 'ended', reason });
    tell('end', reason);
  };
  const newest = async () => {
    const { data } = feed ? await ask(NEWEST) : {};
    return data?.activity.edges[0]?.node;
  };
  const retry = (cause) => {
    if (!running.has(id)) return;
    void client?.dispose();
    change(id, { state: 'reconnecting', reason: told(cause) });
    // Spread, so that many pages don't come back at once.
    const pause = Math.min(FIRST_PAUSE * 2 ** pauses++, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
    timer = setTimeout(() => void connect(true), pause);
  };
  async function connect(again) {
    let now;
    try {
      now = await newest();
    } catch (cause) {
      // Without a server there is nobody to connect to. One that answers otherwise may still take a subscription.
      if (again) return retry(cause);
    }
    if (!running.has(id)) return;
    // Nothing has come yet: it goes on from where it began.
    cursor ??= now?.cursor;
    seenUntil = again && feed && cursor ? (now?.at ?? null) : null;
    const resumed = again && cursor !== undefined;
    client = createClient({
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql/ws`,
      connectionParams: headers,
      // It is done here, where the next begins after the last event.
      retryAttempts: 0,
      on: {
        connected: () => {
          pauses = 0;
          change(id, ({ again: before }) => ({
            state: 'live',
            reason: undefined,
            again: before + (again ? 1 : 0),
            missed: resumed ? 0 : null,
          }));
        },
      },
    });
    const subscribed = client;
    subscribed.subscribe(feed ? feed.payload(again ? cursor : undefined) : payload, {
      next(raw) {
        if (client !== subscribed) return;
        const { cursor: at, at: when, result } = feed?.read(raw) ?? { result: raw };
        cursor = at ?? cursor;
        const missed = seenUntil !== null && when <= seenUntil;
        const event = { key: ++last, at: new Date(), result, missed };
        change(id, (it) => ({
          events: [event, ...it.events].slice(0, MOST_EVENTS),
          count: it.count + 1,
          missed: missed ? it.missed + 1 : it.missed,
        }));
        tell('next', result);
      },
      error(cause) {
        if (client !== subscribed) return;
        if (isBroken(cause)) retry(cause);
        else over(told(cause));
      },
      complete: () => client === subscribed && over('completed'),
    });
  }
  running.set(id, { stop: () => over('stopped'), listeners });
  void connect(false);
  return id;
}

export function isRunning(tab) {
  return watchers.get().some((it) => it.tab === tab && it.state !== 'ended');
}

export function stop(id) {
  running.get(id)?.stop();
}

/** Stops it and takes it off the panel. */
export function remove(id) {
  stop(id);
  watchers.set((all) => all.filter((it) => it.id !== id));
}

followTabs(() => {
  for (const { id, tab } of watchers.get()) if (!isThere(tab)) remove(id);
});

/** What GraphiQL reads: the results for as long as the tab is open. */
export function resultsOf(id, tab) {
  const waiting = [];
  let wake = null;
  let done = false;
  const put = (entry) => {
    waiting.push(entry);
    wake?.();
  };
  const listener = {
    next: (result) => put({ value: result, done: false }),
    end(reason) {
      if (reason?.errors) put({ value: { errors: reason.errors }, done: false });
      else if (reason !== 'stopped' && reason !== 'completed') put({ value: { errors: [{ message: `${reason}` }] }, done: false });
      finish();
    },
  };
  const listeners = running.get(id)?.listeners;
  listeners?.add(listener);
  const unfollow = followTabs(() => openTab() === tab || finish());
  function finish() {
    done = true;
    unfollow();
    listeners?.delete(listener);
    wake?.();
  }
  const iterator = {
    async next() {
      while (waiting.length === 0 && !done) await new Promise((resolve) => (wake = resolve));
      return waiting.shift() ?? { value: undefined, done: true };
    },
    async return() {
      finish();
      // The tab was left, or its button for stopping was pressed: GraphiQL does not say which, but will have left by then.
      setTimeout(() => openTab() === tab && stop(id));
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}

/** Whether it may be well again soon. */
function isBroken(cause) {
  if (Array.isArray(cause)) return cause.every(({ extensions }) => extensions?.code === 'UNAVAILABLE');
  return cause?.code === undefined || BROKEN.includes(cause.code);
}

function told(cause) {
  if (Array.isArray(cause)) return { errors: cause };
  if (cause instanceof Error) return cause.message;
  // A websocket was closed.
  return `The connection was closed: ${[cause?.code, cause?.reason].filter(Boolean).join(' ')}`;
}
