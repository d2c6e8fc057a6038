// The answers of `toy.graphql`, the same ones as of `tests/it/compare/toy.rs`.
//
// Arguments are told as text: JSON without blanks and with sorted keys (all ASCII), where what is absent is left out. A
// number of any type is told as digits where it is whole and below 2^53 (0 for -0), otherwise as the shortest mantissa
// and exponent that give the same double: 1.5e0, 1e21.
import { setImmediate } from 'node:timers/promises';

const text = (value) => {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number') {
    const whole = Number.isInteger(value) && Math.abs(value) < 2 ** 53;
    return whole ? String(value) : value.toExponential().replace('+', '');
  }
  if (Array.isArray(value)) return `[${value.map(text).join(',')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${keys.sort().map((key) => `${JSON.stringify(key)}:${text(value[key])}`).join(',')}}`;
};

const fail = (why) => () => {
  throw new Error(why);
};
// An answer that comes after those of its siblings that take fewer ticks.
const late = (ticks, answer) => async (args) => {
  for (let tick = 0; tick < ticks; tick++) await setImmediate();
  return answer(args);
};
const ticking = (of) => async (args) => {
  for (let tick = 0; tick < of(args); tick++) await setImmediate();
  return of(args);
};

const cat = (name = 'Tom') => ({
  __typename: 'Cat',
  id: late(2, () => '1'),
  name,
  colour: late(1, ({ like }) => like),
  friend: late(1, () => dog),
  family: ({ first }) => [cat(), null, dog].slice(0, Math.max(0, first ?? 3)),
  lives: 9,
  owner: late(1, () => robot),
  self: () => cat(name),
  kittens: ({ tags }) => (tags === null ? null : [cat('Kit'), cat('Kat')]),
  echo: text,
  born: '2026-01-31T12:00:00Z',
  secret: late(1, fail('secret')),
});

const dog = {
  __typename: 'Dog',
  id: '2',
  name: late(1, () => null),
  colour: fail('colour'),
  friend: null,
  family: late(2, () => []),
  lives: null,
  owner: late(2, () => cat()),
  self: () => dog,
  puppies: () => [null, dog],
  bone: fail('bone'),
  must: late(1, fail('must')),
};

const robot = {
  __typename: 'Robot',
  name: late(1, fail('name')),
  serial: 1.5,
  id: late(2, () => null),
  parts: () => [robot],
  rows: () => [[robot, null], []],
  maker: () => cat('Maker'),
};

const lists = {
  numbers: [1, null, 3],
  table: [[1, 2], null, []],
  empty: [],
  none: null,
  robots: [robot, null, robot],
  robotsAll: [robot, robot],
  rows: [[robot], null, []],
  rowsAll: [[], [robot]],
  cube: [[[robot], null], [[]]],
  things: [cat(), null, dog, robot],
  named: [[cat(), dog], [robot, null]],
  beings: [dog, cat()],
  broken: fail('broken'),
  brokenAll: late(1, fail('brokenAll')),
};

const query = {
  cat: late(2, () => cat()),
  dog: () => dog,
  robot: late(1, () => robot),
  node: ({ id }) => {
    if (id === undefined) return null;
    if (id === 'fault') throw new Error('node');
    return [null, '1', 'x'].includes(id) ? cat() : dog;
  },
  being: ({ colour }) => ({ RED: cat(), GREEN: dog, BLUE: null })[colour],
  named: ({ nth }) => [robot, cat(), dog][nth ?? 3],
  pet: late(3, () => cat()),
  thing: ({ nth }) => [cat(), dog, robot][nth],
  machines: () => [dog, robot],
  lists: () => lists,
  nothing: null,
  self: () => query,
  slow: ticking(({ ticks }) => Math.min(ticks, 5)),
  json: { a: [1, null, 'x'], b: { c: true } },
  tell: text,
  echo: text,
  broken: late(1, fail('broken')),
};

// Each mutation is called once it begins, and noted then.
const noted = (name, answer) => (args, { calls }) => {
  calls.push(`${name}${text(args)}`);
  return answer(args);
};
const mutation = Object.fromEntries(
  Object.entries({
    add: late(1, (args) => cat(text(args))),
    patch: text,
    remove: late(2, () => true),
    slow: ticking(({ ticks }) => Math.min(ticks, 5)),
    fail: late(1, fail('fail')),
    failMust: fail('failMust'),
  }).map(([name, answer]) => [name, noted(name, answer)]),
);

const events = {
  async *ticks({ from, to }) {
    for (let tick = from ?? 1; tick <= Math.min(to, (from ?? 1) + 3); tick++) yield tick;
  },
  async *beings() {
    yield cat();
    yield dog;
    yield null;
  },
  async *things({ wish }) {
    yield cat(text({ wish }));
    yield robot;
    yield dog;
  },
  broken: fail('broken'),
};

// Gives the schema built from `toy.graphql` its answers.
export function answering(schema) {
  const subscription = schema.getSubscriptionType().getFields();
  for (const [name, events_] of Object.entries(events)) {
    subscription[name].subscribe = (_, args) => events_(args);
    subscription[name].resolve = (event) => event;
  }
  const time = (value) => {
    if (typeof value === 'string' && /^\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/.test(value)) return value;
    throw new TypeError('This is no time in UTC as RFC 3339 writes it.');
  };
  const scalar = schema.getType('DateTime');
  scalar.parseValue = time;
  scalar.parseLiteral = ({ value }) => time(value);
  return schema;
}

export const roots = { query, mutation, subscription: {} };
