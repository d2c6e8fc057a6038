// What GraphiQL asks the server by.

import { getOperationAST, parse } from 'graphql';
import { authorization } from './people.js';
import { fill } from './lookups.js';
import { openTab } from './tabs.js';
import { resultsOf, watch } from './watchers.js';

/** One request over HTTP. */
export async function post(payload, headers) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      Accept: 'application/graphql-response+json, application/json',
      'Content-Type': 'application/json',
      ...headers,
    },
    body: JSON.stringify(payload),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${response.status} ${response.statusText}: ${text.slice(0, 500)}`);
  }
}

export async function fetcher({ query, variables, operationName: told }, options) {
  const tab = openTab();
  if (told === 'IntrospectionQuery') return post({ query, operationName: told }, authorization(tab));

  const operation = operationOf(query, told);
  const operationName = operation?.name?.value ?? told;
  const payload = { query, operationName: operationName ?? undefined, variables };
  const filled = await fill(tab, payload, (lookup, as) => post({ query: lookup }, authorization(tab, as)));
  if (filled.errors) return filled;
  if (openTab() !== tab) return nothing();
  const headers = { ...authorization(tab), ...options?.headers };
  if (operation?.operation === 'subscription') {
    const id = watch(tab, payload, operation.name?.value ?? 'subscription', headers, (query) => post({ query }, headers));
    return resultsOf(id, tab);
  }
  const result = await post(payload, headers);
  // It would be shown in the tab that was opened meanwhile.
  return openTab() === tab ? result : nothing();
}

async function* nothing() {}

/** Right after another tab was opened GraphiQL still tells the name from the one before. */
function operationOf(query, operationName) {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    // The server says what is wrong with it.
    return null;
  }
}
