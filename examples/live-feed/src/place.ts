// Where the program is in the feed: the cursor of the last event that was printed.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export class Place {
  #cursor: string | undefined;

  constructor(private readonly file: string | undefined) {
    const kept = file !== undefined && existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    this.#cursor = kept === '' ? undefined : kept;
  }

  /** None before the first event, where nothing was kept. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Keeps a cursor; a file has the old one or the new one, never half of one. */
  moveTo(cursor: string): void {
    this.#cursor = cursor;
    if (this.file === undefined) return;
    writeFileSync(`${this.file}.new`, `${cursor}\n`);
    renameSync(`${this.file}.new`, this.file);
  }
}
