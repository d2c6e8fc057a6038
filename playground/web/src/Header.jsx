import { useState } from 'react';
import { post } from './fetcher.js';
import { graphiql } from './graphiql.js';
import { cast, firstName, isDemo, people, peopleFault, sideOf, token } from './people.js';
import { storage, useStored } from './store.js';

/** The line above everything: who asks. */
export function Header({ tab }) {
  return (
    <header className="bar">
      <span className="bar-name">cosell</span>
      {isDemo ? <Picker tab={tab} /> : <Token />}
      <button type="button" className="bar-button bar-right" onClick={startAnew} title="Closes the tabs and opens the examples">
        Examples anew
      </button>
    </header>
  );
}

function startAnew() {
  storage.clear();
  sessionStorage.removeItem('cosell:cast');
  // What GraphiQL would still write is for the page that is left.
  storage.setItem = () => {};
  location.reload();
}

/** The demo's people, one of whom the open tab asks as. */
function Picker({ tab }) {
  const everyone = useStored(people);
  const picked = useStored(cast)[tab];
  const fault = useStored(peopleFault);
  if (fault) return <span className="bar-fault">{fault}</span>;
  const companies = [...new Set(everyone.map(({ company }) => company))];
  return (
    <div className="picker" role="radiogroup" aria-label="This tab asks as">
      <span className="picker-label">This tab asks as</span>
      {companies.map((company) => {
        const members = everyone.filter((person) => person.company === company);
        return (
          <div className="picker-company" key={company} data-side={sideOf(members[0])}>
            <span className="picker-part">
              {members[0].companyName}
              <small>{members[0].part}</small>
            </span>
            {members.map((person) => (
              <button
                type="button"
                role="radio"
                key={person.id}
                id={`person-${person.id}`}
                aria-checked={person.id === picked}
                title={`${person.name}, ${person.role} of ${person.companyName}: ${person.part}`}
                onClick={() => pick(tab, person.id)}
              >
                {firstName(person)}
                <small>{person.role.toLowerCase()}</small>
              </button>
            ))}
          </div>
        );
      })}
    </div>
  );
}

function pick(tab, person) {
  if (!tab || cast.get()[tab] === person) return;
  cast.set((all) => ({ ...all, [tab]: person }));
  graphiql.personChanged?.();
}

/** Who has no people gives a token; it is kept until the browser's tab is closed. */
function Token() {
  const [text, setText] = useState('');
  const [who, setWho] = useState(null);
  const known = useStored(token);
  async function use(event) {
    event.preventDefault();
    const given = text.trim().replace(/^Bearer\s+/i, '');
    token.set(given);
    setText('');
    setWho(null);
    graphiql.personChanged?.();
    if (!given) return;
    try {
      const { data, errors } = await post({ query: '{ viewer { name company { name } } }' }, { Authorization: `Bearer ${given}` });
      setWho(errors ? errors[0].message : `${data.viewer.name}, ${data.viewer.company.name}`);
    } catch (error) {
      setWho(error.message);
    }
  }
  return (
    <form className="token" onSubmit={use}>
      <label htmlFor="token">Bearer token</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        spellCheck="false"
        placeholder={known ? 'in use until this tab is closed' : 'eyJ...'}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit" className="bar-button">
        {text || !known ? 'Use' : 'Forget'}
      </button>
      {who && (
        <span className="token-who" role="status">
          {who}
        </span>
      )}
    </form>
  );
}
