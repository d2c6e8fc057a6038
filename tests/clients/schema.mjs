// Validates a schema as graphql-js does, in the version that most tools stand on and in the newest; says nothing where
// there is nothing to say.
//
// usage: node schema.mjs FILE
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
const faults = [];
for (const name of ['graphql', 'graphql-17']) {
  const { buildSchema, validateSchema, version } = await import(name);
  try {
    const schema = buildSchema(text);
    faults.push(...validateSchema(schema).map((fault) => `graphql ${version}: ${fault.message}`));
    if (!schema.getQueryType()) faults.push(`graphql ${version}: there is no Query`);
  } catch (fault) {
    faults.push(`graphql ${version}: ${fault.message}`);
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
