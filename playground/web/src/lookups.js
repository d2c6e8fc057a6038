// Ids without pasting: a comment line such as
//
//     #: leadId = { leads(first: 1, filter: { stage: ["pending"] }) { edges { node { id } } } }
//
// says where the variable $leadId comes from. When the document is run, the query is run first, and the first `id` of
// its answer is put into the variables. A value that the user wrote there stays. With `(as tess)` behind the name it
// is asked by another person of the demo.

import { graphiql } from './graphiql.js';

const LINE = /^#:[ \t]*(\w+)(?:[ \t]*\(as (\w+)\))?[ \t]*=[ \t]*(\{.*\})[ \t]*$/gm;
/** What was put into the variables of each tab. */
const put = new Map();

export function lookupsOf(document) {
  return [...document.matchAll(LINE)].map(([, name, as, query]) => ({ name, as, query }));
}

/** Fills in the payload's variables; gives errors where something was not found. */
export async function fill(tab, payload, ask) {
  const lookups = lookupsOf(payload.query);
  if (lookups.length === 0) return {};
  const ours = put.get(tab) ?? {};
  const variables = { ...payload.variables };
  for (const { name, as, query } of lookups) {
    // A placeholder, or what was found the last time.
    if (variables[name] && variables[name] !== ours[name]) continue;
    const answer = await ask(query, as);
    if (answer.errors) return { errors: answer.errors };
    const found = firstId(answer.data);
    if (!found) return { errors: [{ message: `Nothing was found for $${name}, and so nothing was run. Asked was: ${query}` }] };
    variables[name] = found;
    ours[name] = found;
  }
  put.set(tab, ours);
  payload.variables = variables;
  graphiql.showVariables?.(tab, JSON.stringify(variables, null, 2));
  return {};
}

export function firstId(value) {
  if (value === null || typeof value !== 'object') return undefined;
  if (typeof value.id === 'string') return value.id;
  for (const inner of Object.values(value)) {
    const found = firstId(inner);
    if (found) return found;
  }
  return undefined;
}
