// Holds the audit of the GraphQL-over-HTTP specification (npm package graphql-http) against a server, and prints what
// came of it as JSON: a list of { id, name, status, reason }.
//
// usage: node audit.mjs URL [TOKEN]
import { auditServer } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const results = await auditServer({
  url,
  fetchFn: (input, init = {}) => {
    const headers = new Headers(init.headers);
    if (token) headers.set('Authorization', `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  },
});
const report = results.map(({ id, name, status, reason }) => ({ id, name, status, reason }));
process.stdout.write(JSON.stringify(report));
