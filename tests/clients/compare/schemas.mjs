// Whether two schemas are one, whatever their order and comments: prints each line that only one of them has.
//
// usage: node schemas.mjs FILE FILE
import { readFileSync } from 'node:fs';

import { buildSchema, lexicographicSortSchema, printType } from 'graphql';

// Each member of each type, with the head of its type.
const members = (file) => {
  const types = Object.values(lexicographicSortSchema(buildSchema(readFileSync(file, 'utf8'))).getTypeMap());
  return new Set(
    types.flatMap((type) => {
      const [head, ...lines] = printType(type).replace(/^\s*"""[^]*?"""\n/gm, '').split('\n');
      return [head, ...lines.map((line) => `${head} ${line.trim()}`)];
    }),
  );
};
const [one, other] = process.argv.slice(2).map(members);
for (const line of one) if (!other.has(line)) console.log(`- ${line}`);
for (const line of other) if (!one.has(line)) console.log(`+ ${line}`);
