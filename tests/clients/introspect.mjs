// Asks a server for its schema as tools do, builds it from the answer, and holds it against the schema's file: says
// nothing where the two are the same to the letter.
//
// usage: node introspect.mjs URL FILE [TOKEN]
import { readFileSync } from 'node:fs';

const [url, file, token] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const faults = [];
for (const name of ['graphql', 'graphql-17']) {
  const graphql = await import(name);
  const { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } = graphql;
  const query = getIntrospectionQuery({
    descriptions: true,
    directiveIsRepeatable: true,
    inputValueDeprecation: true,
    oneOf: true,
    schemaDescription: true,
    specifiedByUrl: true,
  });
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const { data, errors } = await answer.json();
  if (errors) {
    faults.push(`graphql ${graphql.version}: ${JSON.stringify(errors)}`);
    continue;
  }
  const lines = (schema) => printSchema(lexicographicSortSchema(schema)).split('\n');
  const [said, written] = [lines(buildClientSchema(data)), lines(buildSchema(text))];
  const other = written.findIndex((line, index) => line !== said[index]);
  if (other >= 0 || said.length !== written.length) {
    const at = other >= 0 ? other : written.length;
    faults.push(`graphql ${graphql.version}: ${written[at]} is written, ${said[at]} is said`);
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
