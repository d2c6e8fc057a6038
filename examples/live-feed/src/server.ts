// The two ways to the server: a query over HTTP, and a subscription over a websocket.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import type { TypedDocumentString } from './generated/graphql.js';
import type { Settings } from './settings.js';

/** How often a connection is tried for life, and how long the answer may take. */
const SIGN_OF_LIFE = 10_000;
const PATIENCE = 5_000;

/** Why there is no answer, as far as the program acts on it. */
export class Interrupted extends Error {
  constructor(
    /** `TOKEN`: a new one is needed. `EXPIRED`: the cursor is too old to subscribe with. `FINAL`: trying again is no use. */
    readonly kind: 'TOKEN' | 'EXPIRED' | 'BUSY' | 'LOST' | 'FINAL',
    message: string,
  ) {
    super(message);
  }
}

interface GraphqlError {
  message: string;
  extensions?: { code?: string } | undefined;
}

function refused(errors: readonly GraphqlError[]): Interrupted {
  const [first] = errors;
  const message = first?.message ?? 'an error without a message';
  switch (first?.extensions?.code) {
    case 'CURSOR_EXPIRED':
      return new Interrupted('EXPIRED', message);
    case 'UNAUTHENTICATED':
      return new Interrupted('TOKEN', message);
    case 'RATE_LIMITED':
      return new Interrupted('BUSY', message);
    case 'UNAVAILABLE':
    case 'INTERNAL':
    case undefined:
      return new Interrupted('LOST', message);
    default:
      // The document or the cursor is at fault, and stays so.
      return new Interrupted('FINAL', message);
  }
}

/** What docs/feed.md says of each code. */
function closed(code: number, reason: string): Interrupted {
  const message = `closed with ${code}${reason ? `: ${reason}` : ''}`;
  switch (code) {
    case 4403:
      return new Interrupted('TOKEN', message);
    case 1007:
    case 1009:
    case 4400:
    case 4406:
    case 4409:
    case 4429:
      return new Interrupted('FINAL', message);
    default:
      // 1001 and 1013: the server ends, or can't now; 1006: the network. All want a new connection.
      return new Interrupted('LOST', message);
  }
}

export class Server {
  constructor(
    private readonly settings: Settings,
    /** Ends whatever is under way. */
    private readonly stop: AbortSignal,
  ) {}

  async query<Data, Variables>(document: TypedDocumentString<Data, Variables>, variables: Variables): Promise<Data> {
    let response: Response;
    let body: { data?: Data | null; errors?: GraphqlError[] };
    const request = new AbortController();
    const end = (): void => request.abort();
    const late = setTimeout(end, 30_000);
    this.stop.addEventListener('abort', end);
    try {
      this.stop.throwIfAborted();
      response = await fetch(this.settings.http, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/graphql-response+json, application/json;q=0.9',
          Authorization: `Bearer ${this.settings.token()}`,
        },
        body: JSON.stringify({ query: document.toString(), variables }),
        signal: request.signal,
      });
      body = (await response.json()) as typeof body;
    } catch (fault) {
      const cause = (fault as Error).cause;
      throw new Interrupted('LOST', cause instanceof Error ? cause.message : String(fault));
    } finally {
      clearTimeout(late);
      this.stop.removeEventListener('abort', end);
    }
    if (body.errors?.length) throw refused(body.errors);
    if (!body.data) throw new Interrupted('LOST', `an answer with the status ${response.status} and without data`);
    return body.data;
  }

  /** Yields what a subscription brings, until it is interrupted or stopped; says when it is let in. */
  async *subscribe<Data, Variables extends Record<string, unknown>>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
    welcome: () => void,
  ): AsyncGenerator<Data, void> {
    if (this.stop.aborted) return;
    let late: NodeJS.Timeout | undefined;
    const client = createClient({
      url: this.settings.websocket,
      webSocketImpl: WebSocket,
      connectionParams: () => ({ Authorization: `Bearer ${this.settings.token()}` }),
      // The client's own retry would begin again at the old cursor.
      retryAttempts: 0,
      keepAlive: SIGN_OF_LIFE,
      on: {
        connected: welcome,
        ping: (received) => {
          if (!received) late = setTimeout(() => client.terminate(), PATIENCE);
        },
        pong: (received) => {
          if (received) clearTimeout(late);
        },
      },
    });
    const dispose = (): void => void client.dispose();
    this.stop.addEventListener('abort', dispose);
    try {
      const results = client.iterate<Data>({ query: document.toString(), variables });
      for await (const { data, errors } of results) {
        // What came is taken, also where a part of it failed: coming back would bring no more.
        if (data) yield data;
        else throw refused((errors ?? []) as readonly GraphqlError[]);
      }
    } catch (fault) {
      if (fault instanceof Interrupted) throw fault;
      if (Array.isArray(fault)) throw refused(fault as GraphqlError[]);
      const { code, reason, message } = fault as { code?: number; reason?: string; message?: string };
      throw code === undefined ? new Interrupted('LOST', message ?? String(fault)) : closed(code, reason ?? '');
    } finally {
      clearTimeout(late);
      this.stop.removeEventListener('abort', dispose);
      await client.dispose();
    }
  }
}
