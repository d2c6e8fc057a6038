import './strict.js';
import './workers.js';
import '@graphiql/plugin-explorer/style.css';
import 'graphiql/style.css';
import './style.css';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN, GraphiQL } from 'graphiql';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Bridge } from './Bridge.jsx';
import { examples } from './examples/index.js';
import { fetcher } from './fetcher.js';
import { Header } from './Header.jsx';
import { Live } from './Live.jsx';
import { hasIntrospection, loadPeople } from './people.js';
import { storage } from './store.js';
import { followTabs, onTabChange, openTab } from './tabs.js';

const plugins = [HISTORY_PLUGIN, explorerPlugin()];
const defaultTabs = examples.map(({ query }) => ({ query }));

function Playground() {
  const [tab, setTab] = useState();
  useEffect(() => followTabs(() => setTab(openTab())), []);
  return (
    <>
      <Header tab={tab} />
      <main>
        <GraphiQL
          fetcher={fetcher}
          storage={storage}
          plugins={plugins}
          defaultTabs={defaultTabs}
          defaultEditorToolsVisibility="variables"
          onTabChange={onTabChange}
          inputValueDeprecation
          schemaDescription
          showPersistHeadersSettings={false}
          // Where the server does not tell its schema, it is not asked.
          schema={hasIntrospection ? undefined : null}
        >
          <GraphiQL.Logo> </GraphiQL.Logo>
          <Bridge />
        </GraphiQL>
      </main>
      <Live />
    </>
  );
}

await loadPeople();
createRoot(document.getElementById('playground')).render(<Playground />);
