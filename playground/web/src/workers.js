/* global WORKERS -- the addresses of the editor's workers, by the bundler */

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(WORKERS[label] ?? WORKERS.editor, { name: label }),
};
