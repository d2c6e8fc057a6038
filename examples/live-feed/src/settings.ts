// What the program is told on its command line and by its environment.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const HELP = `Prints what happens to your company's leads, while it happens.

usage: npm start -- [--url URL] [--token-file FILE] [--cursor-file FILE] [--ids]

  --url URL           where cosell listens; http://127.0.0.1:8080 unless given
  --token-file FILE   a file with the bearer token, read anew for each connection; else the variable TOKEN has it
  --cursor-file FILE  where the last cursor is kept, so that the next start goes on where this one ended;
                      without it the feed begins now
  --ids               begin each line with the event's id`;

export interface Settings {
  http: string;
  websocket: string;
  /** The token as it now is. */
  token: () => string;
  /** Whether another token may come. */
  tokenMayChange: boolean;
  cursorFile: string | undefined;
  ids: boolean;
}

/** The file's text; none while it is not there, as when it is about to be replaced. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Ends the program with a message where it was started wrongly. */
export function settings(): Settings {
  try {
    const { values } = parseArgs({
      options: {
        url: { type: 'string', default: 'http://127.0.0.1:8080' },
        'token-file': { type: 'string' },
        'cursor-file': { type: 'string' },
        ids: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const http = new URL('/graphql', values.url);
    const websocket = new URL('/graphql/ws', values.url);
    websocket.protocol = http.protocol === 'https:' ? 'wss:' : 'ws:';
    const file = values['token-file'];
    if (file === undefined && !process.env['TOKEN']) throw new Error('give a token: --token-file, or the variable TOKEN');
    return {
      http: http.href,
      websocket: websocket.href,
      token: () => (file === undefined ? (process.env['TOKEN'] ?? '') : read(file)).trim(),
      tokenMayChange: file !== undefined,
      cursorFile: values['cursor-file'],
      ids: values.ids ?? false,
    };
  } catch (fault) {
    console.error(`${(fault as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}
