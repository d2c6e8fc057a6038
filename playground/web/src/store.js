import { useSyncExternalStore } from 'react';

/** A value that components follow. */
export function store(value) {
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = typeof next === 'function' ? next(value) : next;
      for (const follower of followers) follower();
    },
    follow(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The store's value, now and whenever it changes. */
export function useStored({ get, follow }) {
  return useSyncExternalStore(follow, get);
}

/** A store that outlives a reload of this tab of the browser, and no more. */
export function sessionStore(key, value) {
  const kept = sessionStorage.getItem(key);
  const made = store(kept === null ? value : JSON.parse(kept));
  made.follow(() => sessionStorage.setItem(key, JSON.stringify(made.get())));
  return made;
}

/**
 * Where GraphiQL keeps things. The history and the theme stay for the next time; tabs belong to the window that they
 * were opened in. Headers are not kept with the history: a token may be among them.
 */
export const storage = {
  getItem: (key) => place(key).getItem(key),
  setItem: (key, value) => place(key).setItem(key, HISTORY.test(key) ? withoutHeaders(value) : value),
  removeItem: (key) => place(key).removeItem(key),
  get length() {
    return [localStorage, sessionStorage].flatMap((it) => Object.keys(it)).filter((key) => OURS.test(key)).length;
  },
  clear() {
    for (const each of [localStorage, sessionStorage]) {
      for (const key of Object.keys(each)) if (OURS.test(key)) each.removeItem(key);
    }
  },
};

const OURS = /^graphiql:/;
const HISTORY = /^graphiql:(queries|favorites)$/;

function place(key) {
  return HISTORY.test(key) || key === 'graphiql:theme' ? localStorage : sessionStorage;
}

function withoutHeaders(value) {
  return JSON.stringify(JSON.parse(value), (key, it) => (key === 'headers' ? undefined : it));
}
