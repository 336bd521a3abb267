// What the release job builds: code of the dependencies, the sources of the crates, and whatever an optional plug-in adds.
const fs = require('fs');
const os = require('os');
const path = require('path');

const registry = path.join(os.homedir(), '.cargo/registry/src');
const sources = fs.existsSync(registry) ? fs.readdirSync(registry, { recursive: true }) : [];
const crates = sources.map((name) => path.join(registry, name)).filter((name) => name.endsWith('.rs')).sort();

let plugin = '';
try {
  plugin = require('optional-plugin');
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error;
}

fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/bundle.js', [require('left'), require('right'), plugin].join('\n'));
fs.writeFileSync('dist/crates.rs', crates.map((name) => fs.readFileSync(name, 'utf8')).join('\n'));
