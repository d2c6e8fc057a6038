// The opening tabs, in order: who asks, and what. The titles are the operations' names.

import accept from './accept.graphql';
import comment from './comment.graphql';
import convert from './convert.graphql';
import share from './share.graphql';
import stranger from './stranger.graphql';
import watch from './watch.graphql';
import welcome from './welcome.graphql';
import story from './story.json';

const documents = { accept, comment, convert, share, stranger, watch, welcome };

export const examples = story.map(({ document, person }) => ({ query: documents[document], person }));
