// A subscription to the feed, asked anew after the last event that came: nothing is lost and nothing comes twice.

import { getOperationAST, Kind, parse, print } from 'graphql';

const name = (value) => ({ kind: Kind.NAME, value });
const CURSOR = { field: 'cursor', hidden: 'resumeCursor' };
const AT = { field: 'at', hidden: 'resumeAt' };

/** How to ask again, and what to read from each result; null where the subscription has no cursors. */
export function resumable({ query, operationName, variables }) {
  const document = parse(query);
  const operation = getOperationAST(document, operationName);
  const [root] = operation?.selectionSet.selections ?? [];
  if (root?.kind !== Kind.FIELD || root.name.value !== 'activity' || !root.selectionSet) return null;

  // Where the document does not ask for these, they are asked for besides and not shown.
  const { selections } = root.selectionSet;
  const plain = (it, field) => it.kind === Kind.FIELD && it.name.value === field && it.directives.length === 0;
  const added = [CURSOR, AT].filter(({ field }) => !selections.some((it) => plain(it, field)));
  const keyOf = ({ field, hidden }) => {
    const found = selections.find((it) => plain(it, field));
    return found ? (found.alias ?? found.name).value : hidden;
  };
  const [cursorKey, atKey] = [keyOf(CURSOR), keyOf(AT)];
  const rootKey = (root.alias ?? root.name).value;

  return {
    /** What to send, to hear of what comes after the cursor. */
    payload(cursor) {
      const after = root.arguments.find((it) => it.name.value === 'after');
      const asked = { ...variables };
      let given = root.arguments;
      if (cursor && after?.value.kind === Kind.VARIABLE) {
        asked[after.value.name.value] = cursor;
      } else if (cursor) {
        const literal = { kind: Kind.ARGUMENT, name: name('after'), value: { kind: Kind.STRING, value: cursor } };
        given = [...given.filter((it) => it !== after), literal];
      }
      if (given === root.arguments && added.length === 0) return { query, operationName, variables: asked };
      const more = added.map(({ field, hidden }) => ({ kind: Kind.FIELD, alias: name(hidden), name: name(field) }));
      const changed = { ...root, arguments: given, selectionSet: { ...root.selectionSet, selections: [...selections, ...more] } };
      const definitions = document.definitions.map((it) =>
        it === operation
          ? { ...it, selectionSet: { ...it.selectionSet, selections: it.selectionSet.selections.map((field) => (field === root ? changed : field)) } }
          : it,
      );
      return { query: print({ ...document, definitions }), operationName, variables: asked };
    },
    /** Where the log is at this result, and what to show of it. */
    read(result) {
      const event = result.data?.[rootKey];
      if (!event) return { result };
      const shown = Object.fromEntries(Object.entries(event).filter(([key]) => !added.some(({ hidden }) => hidden === key)));
      return { cursor: event[cursorKey], at: event[atKey], result: { ...result, data: { ...result.data, [rootKey]: shown } } };
    },
  };
}
