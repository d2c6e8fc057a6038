// Follows a company's feed: prints each event once and in order, over lost connections, ended servers and expired tokens.
import { setTimeout as wait } from 'node:timers/promises';

import { Follow, Newest, ReadOn } from './documents.js';
import type { EventFragment } from './generated/graphql.js';
import { line } from './lines.js';
import { Place } from './place.js';
import { Interrupted, Server } from './server.js';
import { settings } from './settings.js';

const told = settings();
const place = new Place(told.cursorFile);
const stop = new AbortController();
const server = new Server(told, stop.signal);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const say = (text: string): void => void process.stderr.write(`live-feed: ${text}\n`);

/** Printing comes first: who kills the program in between gets the line again, and never loses it. */
function take(event: EventFragment): void {
  process.stdout.write(`${line(event, told.ids)}\n`);
  place.moveTo(event.cursor);
}

/** Prints what came after the place, in pages, until there is no more. */
async function catchUp(): Promise<void> {
  for (;;) {
    const { activity } = await server.query(ReadOn, { after: place.cursor ?? null });
    if (activity.edges.length === 0) return;
    for (const { node } of activity.edges.reverse()) take(node);
  }
}

/** Prints what happens after the place, while it happens. */
async function follow(after: string): Promise<void> {
  const welcome = (): void => {
    failures = 0;
    say('following');
  };
  for await (const { activity } of server.subscribe(Follow, { after }, welcome)) take(activity);
  if (!stop.signal.aborted) throw new Interrupted('LOST', 'the server completed the feed');
}

/** Waits until there is another token than the one that was refused. */
async function anotherToken(refused: string): Promise<void> {
  while (told.token() === refused) await wait(200, undefined, { signal: stop.signal });
}

let late = false;
let failures = 0;
/** Whether the feed is followed from its very beginning, as there was no event yet. */
let beginning = false;

/** One connection, from here to its end. */
async function once(): Promise<void> {
  if (place.cursor === undefined && !beginning) {
    const { activity } = await server.query(Newest, {});
    const newest = activity.edges[0];
    if (newest) {
      place.moveTo(newest.cursor);
    } else {
      beginning = true;
      say('waiting for the first event of all');
    }
  }
  // Away for longer than the server replays, or before the first event of all: that is read in pages.
  if (late || place.cursor === undefined) await catchUp();
  late = false;
  if (place.cursor === undefined) await wait(1000, undefined, { signal: stop.signal });
  else await follow(place.cursor);
}

while (!stop.signal.aborted) {
  const token = told.token();
  try {
    await once();
    continue;
  } catch (fault) {
    if (stop.signal.aborted) break;
    if (!(fault instanceof Interrupted)) throw fault;
    say(`interrupted: ${fault.message}`);
    failures += 1;
    if (fault.kind === 'FINAL' || (fault.kind === 'TOKEN' && !told.tokenMayChange)) {
      process.exitCode = 1;
      break;
    }
    late ||= fault.kind === 'EXPIRED';
    const pause = fault.kind === 'BUSY' ? 5000 : Math.min(200 * 2 ** Math.min(failures, 6), 10_000);
    try {
      if (fault.kind === 'TOKEN') {
        say('waiting for another token');
        await anotherToken(token);
      } else if (fault.kind !== 'EXPIRED') {
        await wait(pause * (0.5 + Math.random() / 2), undefined, { signal: stop.signal });
      }
    } catch {
      // Stopped while it waited.
      break;
    }
  }
}
