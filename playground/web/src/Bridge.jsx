import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useRef } from 'react';
import { examples } from './examples/index.js';
import { graphiql } from './graphiql.js';
import { cast, firstName, people, personOf, sideOf } from './people.js';
import { useStored } from './store.js';
import { onTabChange, openTab } from './tabs.js';
import { isRunning } from './watchers.js';

/** Shows nothing: joins GraphiQL's state to the page's. */
export function Bridge() {
  const actions = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const activeTabIndex = useGraphiQL((state) => state.activeTabIndex);
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const responseEditor = useGraphiQL((state) => state.responseEditor);
  const everyone = useStored(people);
  const persons = useStored(cast);
  const before = useRef();

  useEffect(() => onTabChange({ tabs, activeTabIndex }), [tabs, activeTabIndex]);

  useEffect(() => {
    graphiql.introspect = actions.introspect;
    graphiql.showVariables = (tab, text) => {
      if (openTab() === tab) variableEditor?.setValue(text);
    };
    graphiql.personChanged = () => {
      const again = isRunning(openTab());
      actions.stop();
      // What the one before was told is not the other's to see.
      responseEditor?.setValue('');
      actions.updateActiveTabValues({ response: '' });
      if (again) setTimeout(() => actions.run(), 50);
    };
  }, [actions, variableEditor, responseEditor]);

  // A tab has the person of its example, or of the tab that was open when it was made.
  const ids = tabs.map(({ id }) => id).join(' ');
  useEffect(() => {
    if (everyone.length === 0) return;
    const now = cast.get();
    const casting = tabs.map(({ id, query }) => {
      const example = examples.find((it) => it.query === query);
      return [id, now[id] ?? example?.person ?? now[before.current] ?? everyone[0].id];
    });
    cast.set(Object.fromEntries(casting));
  }, [ids, everyone]);

  const open = tabs[activeTabIndex]?.id;
  useEffect(() => {
    // For the effect above, which still finds the tab that was open before.
    before.current = open;
    // GraphiQL shows all tabs in one editor, which would stay where the other tab's text was scrolled to.
    queryEditor?.setScrollPosition({ scrollLeft: 0, scrollTop: 0 });
  }, [open, queryEditor]);

  // The tabs' titles say whose they are; GraphiQL has no place for it.
  useEffect(() => {
    tabs.forEach(({ id }, index) => {
      const button = document.getElementById(`graphiql-session-tab-${index}`);
      const person = personOf(id);
      if (!button || !person) return;
      button.dataset.person = firstName(person);
      button.dataset.side = sideOf(person);
    });
    const person = personOf(tabs[activeTabIndex]?.id);
    document.title = person ? `${firstName(person)} - cosell` : 'cosell';
  }, [tabs, activeTabIndex, persons, everyone]);
  return null;
}
