// The opening tabs, in order: who asks, and what. The titles are the operations' names. Where the data is real, nothing
// is written.

import { isDemo } from '../people.js';
import accept from './accept.graphql';
import comment from './comment.graphql';
import convert from './convert.graphql';
import follow from './follow.graphql';
import share from './share.graphql';
import start from './start.graphql';
import story from './story.json';
import stranger from './stranger.graphql';
import watch from './watch.graphql';
import welcome from './welcome.graphql';

const documents = { accept, comment, convert, follow, share, start, stranger, watch, welcome };

export const examples = story[isDemo ? 'demo' : 'elsewhere'].map(({ document, person }) => ({
  query: documents[document],
  person,
}));
