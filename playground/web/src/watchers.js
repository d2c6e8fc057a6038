// Subscriptions. GraphiQL ends one when its tab is left; here it goes on, and the panel "Live" shows what comes.

import { createClient } from 'graphql-ws';
import { firstName, personOf, sideOf } from './people.js';
import { store } from './store.js';
import { followTabs, isThere, openTab } from './tabs.js';

/** The newest first: { id, tab, title, person, state, events, count }. */
export const watchers = store([]);

const MOST_EVENTS = 100;
const running = new Map();
let last = 0;

function change(id, fields) {
  watchers.set((all) =>
    all.map((it) => (it.id === id ? { ...it, ...(typeof fields === 'function' ? fields(it) : fields) } : it)),
  );
}

/** Starts one for a tab, in the place of the one that it had. */
export function watch(tab, payload, title, headers) {
  for (const it of watchers.get()) if (it.tab === tab) remove(it.id);
  const id = ++last;
  const person = personOf(tab);
  const who = person && { name: firstName(person), side: sideOf(person), full: `${person.name}, ${person.companyName}` };
  watchers.set((all) => [{ id, tab, title, who, state: 'connecting', events: [], count: 0 }, ...all]);
  const listeners = new Set();
  const tell = (kind, value) => listeners.forEach((listener) => listener[kind]?.(value));
  const client = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql/ws`,
    connectionParams: headers,
    // What ended is said, not hidden; who wants it again starts it again.
    retryAttempts: 0,
    on: { connected: () => change(id, { state: 'live' }) },
  });
  const over = (reason) => {
    // Disposing of the client completes what ran on it.
    if (!running.delete(id)) return;
    void client.dispose();
    change(id, { state: 'ended', reason });
    tell('end', reason);
  };
  running.set(id, { stop: () => over('stopped'), listeners });
  client.subscribe(payload, {
    next(result) {
      const event = { key: ++last, at: new Date(), result };
      change(id, ({ events, count }) => ({ events: [event, ...events].slice(0, MOST_EVENTS), count: count + 1 }));
      tell('next', result);
    },
    error: (cause) => over(told(cause)),
    complete: () => over('completed'),
  });
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

function told(cause) {
  if (Array.isArray(cause)) return { errors: cause };
  if (cause instanceof Error) return cause.message;
  // A websocket was closed.
  return `The connection was closed: ${[cause?.code, cause?.reason].filter(Boolean).join(' ')}`;
}
