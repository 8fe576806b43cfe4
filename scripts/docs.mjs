// Writes the generated pages of docs/ (states.md, config.md, cli.md); with --check it only says which are out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { load } from './load.mjs';

const pages = { 'docs/states.md': states(), 'docs/config.md': config(), 'docs/cli.md': cli() };
const isCheck = process.argv.includes('--check');
for (const [file, text] of Object.entries(pages)) {
  if (read(file) === text) continue;
  if (isCheck) {
    console.error(`${file} is out of date: npm run docs`);
    process.exitCode = 1;
  } else writeFileSync(file, text);
}

function states() {
  const { INSTANCE_TABLE } = load('src/core/instance.ts');
  const { stopLadder } = load('src/core/ladder.ts');
  const { DEFAULT_STOP } = load('src/core/service.ts');
  const names = Object.keys(INSTANCE_TABLE);
  const events = [...new Set(names.flatMap((name) => Object.keys(INSTANCE_TABLE[name])))];
  const rows = events.map(
    (event) => `| ${event} | ${names.map((name) => (INSTANCE_TABLE[name][event] ? '●' : '')).join(' | ')} |`,
  );
  const preStop = { argv: ['hook'], timeoutMs: 5000 };
  const rungs = stopLadder({ ...DEFAULT_STOP, drainDelayMs: 5000, preStop }).map(
    ({ name, enter, until, atMost, isHard }) =>
      `| ${name} | ${enter} | ${until} | ${atMost === 'rest-of-grace' ? 'what is left of the grace period' : `${atMost / 1000} s`} | ${isHard ? '' : 'skips it'} |`,
  );
  return `# States of an instance

Generated from \`src/core/instance.ts\` and \`src/core/ladder.ts\` by \`npm run docs\`.

## What each state listens to

An empty cell means that nothing happens. News of another run than the present one is recorded as ignored, in every state.

| event | ${names.join(' | ')} |
|---|${names.map(() => ':-:|').join('')}
${rows.join('\n')}

## The ladder

Every stop climbs these rungs; one that is not needed is passed over, and each is left as soon as what it waits for is there.
The lengths are those of a policy with \`drainDelay: 5s\`, a \`preStop\` of 5 s and \`grace: 10s\`.
A run that ends by itself enters at \`exited\`.

| rung | does | until | at most | a second SIGINT |
|---|---|---|---|---|
${rungs.join('\n')}
`;
}

function config() {
  const { jsonSchema } = load('src/config/json-schema.ts');
  const lines = [];
  const walk = (schema, path) => {
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      if (path === '' && key === 'defaults') {
        lines.push(`| \`defaults\` | map | ${value.description} |`);
        continue;
      }
      const here = path === '' ? key : `${path}.${key}`;
      lines.push(`| \`${here}\` | ${typeOf(value)} | ${value.description ?? ''} |`);
      const inside = [value, ...(value.anyOf ?? [])].find(({ properties }) => properties);
      if (inside) walk(inside, here);
      if (here === 'services') walk(value.additionalProperties, 'services.NAME');
    }
  };
  walk(jsonSchema(), '');
  return `# supervisor.yaml

Generated from \`src/config/schema.ts\` by \`npm run docs\`. The same schema is published as \`gsup/schema.json\` for editors.

Durations: \`500ms\`, \`10s\`, \`1m30s\`; a bare number is milliseconds. Sizes: \`300MB\`, \`64KiB\`.
Values may hold \`\${VAR}\` and \`\${VAR:-default}\`; \`$\${\` is a plain \`\${\`. Paths are relative to the file. An unknown key is an error.

| key | value | meaning |
|---|---|---|
${lines.join('\n')}
`;
}

function typeOf({ type, anyOf, enum: known }) {
  if (known) return known.map((one) => `\`${one}\``).join(', ');
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ');
  return { object: 'map', array: 'list', string: 'text' }[type] ?? type ?? 'any';
}

function cli() {
  const files = {
    run: ['run'],
    start: ['start'],
    control: ['stop', 'restart', 'reload', 'delete', 'scale', 'signal'],
    apply: ['apply'],
    ls: ['ls', 'show', 'env'],
    logs: ['logs', 'events'],
    why: ['why'],
    timeline: ['timeline'],
    top: ['top'],
    validate: ['validate'],
    export: ['export'],
    import: ['import'],
    init: ['init'],
    doctor: ['doctor'],
    drill: ['drill'],
    startup: ['startup', 'unstartup'],
    daemon: ['daemon', 'ping', 'kill', 'update'],
    completion: ['completion'],
  };
  const commands = Object.entries(files).flatMap(([file, names]) => {
    const loaded = load(`src/cli/commands/${file}.ts`);
    return names.map((name) => loaded[`${name}Command`]());
  });
  const texts = commands.map((command) => {
    let text = '';
    command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 });
    command.name(`gsup ${command.name()}`).outputHelp();
    return `## ${command.name()}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`;
  });
  return `# The command line\n\nGenerated from \`src/cli/commands\` by \`npm run docs\`.\n\n${texts.join('\n')}`;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
