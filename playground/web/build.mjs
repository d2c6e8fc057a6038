// Makes the bundle: node build.mjs FOLDER
//
// FOLDER then holds the page (index.html), its scripts, styles and workers under assets/ with a hash in each name, the
// licences of what is in them, each file precompressed, and files.tsv, which lists them all for build.rs.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) {
  console.error('usage: node build.mjs FOLDER');
  process.exit(2);
}
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const inputs = new Set();

/** Bundles entry points; gives the names of what came of each, as the page asks for them. */
async function bundle(entryPoints, options) {
  const result = await build({
    absWorkingDir: here,
    entryPoints,
    outdir: join(out, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    metafile: true,
    target: ['chrome111', 'firefox113', 'safari16.4'],
    // Every licence stands in licenses.txt.
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'process.env.NODE_ENV': '"production"', ...options.define },
    ...options,
  });
  const made = {};
  for (const [file, output] of Object.entries(result.metafile.outputs)) {
    for (const input of Object.keys(output.inputs)) inputs.add(input);
    if (output.entryPoint) {
      const name = basename(output.entryPoint).replace(/\.\w+$/, '');
      made[name] = { script: basename(file), style: output.cssBundle && basename(output.cssBundle) };
    }
  }
  return made;
}

const workers = await bundle(
  {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  },
  { format: 'iife' },
);
const urls = Object.fromEntries(
  Object.entries(workers).map(([name, { script }]) => [name.replace('.worker', ''), `/playground/assets/${script}`]),
);
const page = await bundle(
  { playground: 'src/main.jsx' },
  { format: 'esm', jsx: 'automatic', loader: { '.graphql': 'text', '.ttf': 'file' }, define: { WORKERS: JSON.stringify(urls) } },
);

const html = readFileSync(join(here, 'src/index.html'), 'utf8')
  .replace('@SCRIPT@', `/playground/assets/${page.main.script}`)
  .replace('@STYLE@', `/playground/assets/${page.main.style}`);
writeFileSync(join(out, 'index.html'), html);
writeFileSync(join(out, 'licenses.txt'), licenses());
list();

/** The licence of each package that something was taken from. */
function licenses() {
  const packages = new Map();
  for (const input of inputs) {
    const found = /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(input);
    if (found) packages.set(join(here, found[1]), found[2]);
  }
  const parts = ['What the playground is made of, beside cosell itself. Each part stands under its own licence.'];
  const known = [...packages].map(([folder]) => ({
    folder,
    ...JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
  }));
  known.sort((a, b) => a.name.localeCompare(b.name, 'en') || a.version.localeCompare(b.version, 'en'));
  for (const { folder, name, version, license, author, homepage } of known) {
    const texts = readdirSync(folder)
      .filter((file) => /^(licen[cs]e|notice|copying|thirdpartynotices)/i.test(file))
      .sort()
      .map((file) => readFileSync(join(folder, file), 'utf8').trim());
    const who = typeof author === 'object' ? author.name : author;
    const head = [`${name} ${version} (${license ?? 'no licence named'})`, who, homepage].filter(Boolean).join('\n');
    parts.push([head, ...texts].join('\n\n'));
  }
  return `${parts.join(`\n\n${'-'.repeat(78)}\n\n`)}\n`;
}

/** Compresses what gains by it, and writes files.tsv: path, content type, SHA-256. */
function list() {
  const types = {
    css: 'text/css; charset=utf-8',
    html: 'text/html; charset=utf-8',
    js: 'text/javascript; charset=utf-8',
    ttf: 'font/ttf',
    txt: 'text/plain; charset=utf-8',
  };
  const assets = existsSync(join(out, 'assets')) ? readdirSync(join(out, 'assets')).map((name) => `assets/${name}`) : [];
  const lines = [...assets, 'licenses.txt', 'index.html'].sort().map((path) => {
    const type = types[path.split('.').pop()];
    if (!type) throw new Error(`${path}: of no known type`);
    const bytes = readFileSync(join(out, path));
    // The page is filled in for each who asks.
    if (path !== 'index.html') {
      const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
      writeFileSync(join(out, `${path}.br`), brotli);
    }
    return `${path}\t${type}\t${createHash('sha256').update(bytes).digest('hex')}\n`;
  });
  writeFileSync(join(out, 'files.tsv'), lines.join(''));
}
