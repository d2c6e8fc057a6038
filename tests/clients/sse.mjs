// The npm package graphql-sse asks a server for a query, a mutation and a subscription, and prints what came as JSON:
// { query, mutation, subscription, refused, calls }. The subscription is to bring what the mutation did, and is then
// ended by the client; `refused` is what came of one that has to be; `calls` are its requests with their statuses.
//
// usage: node sse.mjs URL TOKEN distinct|single
import { createClient } from 'graphql-sse';

const [url, token, mode] = process.argv.slice(2);
const calls = [];
const client = createClient({
  url,
  singleConnection: mode === 'single',
  retryAttempts: 0,
  headers: () => ({ Authorization: `Bearer ${token}` }),
  fetchFn: async (input, init) => {
    const response = await fetch(input, init);
    calls.push(`${init.method} ${response.status}`);
    return response;
  },
});

async function one(request) {
  for await (const result of client.iterate(request)) return result;
}

const CREATE = `mutation ($title: String!) {
  createLead(input: { title: $title, customer: { company: "Initrode" } }) { lead { title } }
}`;
const FEED = 'subscription { activity { __typename lead { title } } }';

const events = client.iterate({ query: FEED });
const first = events.next();
await until(() => calls.includes(mode === 'single' ? 'POST 202' : 'POST 200'));
const mutation = await one({ query: CREATE, variables: { title: 'By graphql-sse' } });
const subscription = (await first).value;
const query = await one({ query: '{ viewer { company { slug } } }' });
const refused = await one({ query: 'subscription { activity(after: "forged") { id } }' });
await events.return();
if (mode === 'single') await until(() => calls.includes('DELETE 200'));
client.dispose();
process.stdout.write(JSON.stringify({ query, mutation, subscription, refused, calls }));

async function until(done) {
  for (let left = 500; !done(); left -= 1) {
    if (left === 0) throw new Error(`it does not come: ${calls}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
