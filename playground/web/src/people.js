// Who asks: a person of the demo for each tab, or the bearer of one token.

import { sessionStore, store } from './store.js';

const { dataset } = document.querySelector('meta[name="cosell"]');
/** Whether this is the demo. */
export const isDemo = dataset.people === 'true';
/** Whether the server tells its schema. */
export const hasIntrospection = dataset.introspection === 'true';

/** The people of the demo. */
export const people = store([]);
/** Why there are none, where there should be. */
export const peopleFault = store(null);
/** The person of each tab of GraphiQL, by the tab's id. */
export const cast = sessionStore('cosell:cast', {});
/** The token, where this is not the demo. */
export const token = sessionStore('cosell:token', '');

export async function loadPeople() {
  if (!isDemo) return;
  try {
    const response = await fetch('/playground/people.json');
    if (!response.ok) throw new Error(await response.text());
    people.set(await response.json());
  } catch (error) {
    peopleFault.set(`The people can't be loaded: ${error.message}`);
  }
}

export function personOf(tab) {
  return people.get().find(({ id }) => id === cast.get()[tab]);
}

export function firstName({ name }) {
  return name.split(' ')[0];
}

/** A number for each company, to colour it by. */
export function sideOf({ company }) {
  return [...new Set(people.get().map((person) => person.company))].indexOf(company);
}

/** What authorizes an operation of a tab. */
export function authorization(tab, as) {
  const person = people.get().find(({ id }) => id === as) ?? personOf(tab);
  const bearer = person?.token ?? token.get();
  return bearer ? { Authorization: `Bearer ${bearer}` } : {};
}
