// What graphql-js makes of random documents, or of those in a file: a JSON object a line.
//
// usage: node main.mjs --schema FILE (--count N --seed S | --cases FILE) [--execute]
//
// --execute is for toy.graphql, which has answers.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { buildSchema } from 'graphql';

import { documents } from './generate.mjs';
import { judged } from './judge.mjs';
import { answering } from './toy.mjs';

const text = { type: 'string' };
const { values: asked } = parseArgs({
  options: { schema: text, count: text, seed: text, cases: text, execute: { type: 'boolean', default: false } },
});
const schema = buildSchema(readFileSync(asked.schema, 'utf8'));
if (asked.execute) answering(schema);
const cases = asked.cases
  ? JSON.parse(readFileSync(asked.cases, 'utf8'))
  : documents(schema, Number(asked.count), Number(asked.seed));
for (const one of cases) {
  process.stdout.write(`${JSON.stringify({ ...one, ...(await judged(schema, one, asked.execute)) })}\n`);
}
