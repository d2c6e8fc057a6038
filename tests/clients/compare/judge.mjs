// What graphql-js makes of one document.
import { execute, getOperationAST, parse, specifiedRules, subscribe, validate } from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';

import { roots } from './toy.mjs';

const told = ({ path, locations, message }) => ({ path: path ?? null, locations: locations ?? [], message });

// `data` is text: the order of fields counts.
const answer = ({ data, errors }) => ({ data: JSON.stringify(data ?? null), errors: (errors ?? []).map(told) });

// The verdict, and where the schema answers and the document is taken, what it answers.
export async function judged(schema, { query, variables, operationName }, executes) {
  const refused = (stage, errors) => ({ verdict: 'refused', stage, errors: errors.map(told) });
  let document;
  try {
    document = parse(query);
  } catch (error) {
    return refused('parse', [error]);
  }
  let errors;
  try {
    errors = validate(schema, document, specifiedRules);
  } catch (error) {
    // Its rule for subscriptions evaluates `@skip` before there are variables.
    return refused('thrown', [error]);
  }
  if (errors.length > 0) return refused('validate', errors);
  const operation = getOperationAST(document, operationName);
  if (!operation) return refused('operation', [new Error('There is no such operation, or more than one.')]);
  const variableValues = JSON.parse(variables);
  const coerced = getVariableValues(schema, operation.variableDefinitions ?? [], variableValues);
  if (coerced.errors) return refused('variables', coerced.errors);
  const accepted = { verdict: 'accepted', kind: operation.operation };
  if (!executes) return accepted;
  const calls = [];
  const asked = { schema, document, operationName, variableValues, rootValue: roots[operation.operation], contextValue: { calls } };
  const answers = [];
  if (operation.operation === 'subscription') {
    let events;
    try {
      events = await subscribe(asked);
    } catch (error) {
      // It stumbles where `@skip` leaves nothing at the root.
      return refused('thrown', [error]);
    }
    if (events[Symbol.asyncIterator]) for await (const event of events) answers.push(answer(event));
    else answers.push(answer(events));
  } else {
    answers.push(answer(await execute(asked)));
  }
  return { ...accepted, answers, calls };
}
