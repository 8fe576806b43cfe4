// The layers of src/ and what each may import: written into biome.json by `node scripts/layers.mjs`, checked there by the linter.
import { readFileSync, writeFileSync } from 'node:fs';

const LAYERS = {
  core: [],
  config: ['core'],
  interop: ['core', 'config'],
  host: ['core'],
  logs: ['core'],
  probes: ['core'],
  supervisor: ['core', 'host', 'logs', 'probes'],
  api: ['core'],
  view: ['core', 'api'],
  http: ['core', 'api', 'view'],
  page: ['core', 'api', 'view', 'http'],
  daemon: ['core', 'config', 'interop', 'host', 'logs', 'probes', 'supervisor', 'api', 'view', 'http'],
  preload: [],
  // Of core/ only duration.ts: the rule below.
  app: ['core'],
  foreground: ['core', 'config', 'interop', 'host', 'logs', 'probes', 'supervisor', 'api', 'view', 'http'],
  cli: ['core', 'config', 'interop', 'logs', 'supervisor', 'view', 'api', 'daemon', 'foreground'],
};

const overrides = Object.entries(LAYERS).map(([layer, allowed]) => {
  const forbidden = Object.keys(LAYERS).filter((other) => other !== layer && !allowed.includes(other));
  const patterns = [
    {
      group: forbidden.flatMap((other) => [`../${other}/**`, `../../${other}/**`]),
      message: `${layer}/ may import ${allowed.join(', ') || 'nothing'} of src/`,
    },
    // Pure: no clock, no machine, no packages.
    ...(layer === 'core'
      ? [{ group: ['**', '!./**', '!../**'], message: 'core/ is pure: no node:, no packages' }]
      : []),
    // Lives in the processes of others.
    ...(layer === 'app'
      ? [
          { group: ['**', '!./**', '!../**', '!node:*', '!node:*/*'], message: 'app/ has no dependencies' },
          { group: ['../core/**', '!../core/duration.ts'], message: 'app/ may import core/duration.ts only' },
        ]
      : []),
  ];
  return {
    includes: [`src/${layer}/**`],
    linter: { rules: { style: { noRestrictedImports: { level: 'error', options: { patterns } } } } },
  };
});

const config = JSON.parse(readFileSync('biome.json', 'utf8'));
const kept = (config.overrides ?? []).filter(({ includes }) => !includes[0].startsWith('src/'));
writeFileSync('biome.json', `${JSON.stringify({ ...config, overrides: [...overrides, ...kept] }, null, 2)}\n`);
