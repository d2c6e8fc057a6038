/** What code outside of GraphiQL's components asks of it: set by `Bridge`. */
export const graphiql = {};
