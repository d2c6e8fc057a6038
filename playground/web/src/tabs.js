// The tabs of GraphiQL, as code outside of its components sees them.

const followers = new Set();
let known = { tabs: [], activeTabIndex: 0 };

/** For GraphiQL, which calls it at every change. */
export function onTabChange(now) {
  known = now;
  for (const follower of followers) follower();
}

/** The id of the tab that is open. */
export function openTab() {
  return known.tabs[known.activeTabIndex]?.id;
}

export function isThere(tab) {
  return known.tabs.some(({ id }) => id === tab);
}

export function followTabs(follower) {
  followers.add(follower);
  return () => followers.delete(follower);
}
