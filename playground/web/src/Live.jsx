import { useState } from 'react';
import { useStored } from './store.js';
import { remove, stop, watchers } from './watchers.js';

/** The subscriptions that run, each with what came, the newest first. */
export function Live() {
  const all = useStored(watchers);
  const [folded, setFolded] = useState(false);
  if (all.length === 0) return null;
  return (
    <section className="live" aria-label="Live" data-folded={folded}>
      <div className="live-head">
        <strong>Live</strong>
        <span>Subscriptions go on here while you work in other tabs.</span>
        <button type="button" className="bar-button bar-right" aria-expanded={!folded} onClick={() => setFolded(!folded)}>
          {folded ? 'Show' : 'Hide'}
        </button>
      </div>
      {!folded && (
        <div className="live-columns">
          {all.map((watcher) => (
            <Watcher key={watcher.id} {...watcher} />
          ))}
        </div>
      )}
    </section>
  );
}

/** How it is with a subscription, for people. */
function said({ state, again, missed }) {
  if (state !== 'live' || again === 0) return state;
  if (missed === null) return 'live again: what happened meanwhile is not told';
  return `live, resumed after ${missed} missed ${missed === 1 ? 'event' : 'events'}`;
}

function Watcher({ id, title, who, state, reason, events, count, again, missed }) {
  return (
    <article className="watcher" data-state={state} data-side={who?.side} aria-label={`${title} ${who?.name ?? ''}`.trim()}>
      <h2>
        {who && (
          <span className="watcher-who" title={who.full}>
            {who.name}
          </span>
        )}
        <span className="watcher-title">{title}</span>
        <span className="watcher-state">
          {said({ state, again, missed })}
          {count > 0 && `, ${count} so far`}
        </span>
        {state !== 'ended' && (
          <button type="button" className="bar-button" onClick={() => stop(id)}>
            Stop
          </button>
        )}
        <button type="button" className="bar-button" aria-label={`Remove ${title}`} onClick={() => remove(id)}>
          ×
        </button>
      </h2>
      {typeof reason === 'string' && reason !== 'stopped' && <p className="watcher-note">{reason}</p>}
      {reason?.errors && <p className="watcher-note">{reason.errors[0].message}</p>}
      {events.length === 0 && state === 'live' && <p className="watcher-note">Nothing yet: do something as the other side.</p>}
      <ol>
        {events.map(({ key, at, result, missed: late }) => (
          <li key={key} data-missed={late || undefined}>
            <details>
              <summary>
                <time dateTime={at.toISOString()}>{at.toLocaleTimeString()}</time> <b>{heading(result)}</b> {gist(result)}
              </summary>
              <pre>{JSON.stringify(result.data ?? result, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
    </article>
  );
}

function root({ data }) {
  return Object.values(data ?? {})[0];
}

function heading(result) {
  return result.errors ? 'Error' : (root(result)?.__typename ?? Object.keys(result.data ?? {})[0]);
}

/** Long texts and what only machines read are for the details. */
const LEFT_OUT = new Set(['__typename', 'id', 'at', 'cursor', 'hash', 'sequence', 'version']);

function gist(result) {
  if (result.errors) return result.errors[0].message;
  const words = [];
  const walk = (value, key) => {
    if (value === null || LEFT_OUT.has(key)) return;
    if (typeof value === 'object') for (const [inner, it] of Object.entries(value)) walk(it, Array.isArray(value) ? key : inner);
    else words.push(`${value}`);
  };
  walk(root(result));
  return words.join(' · ');
}
