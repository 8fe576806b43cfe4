// What is set for this machine's npm is not to be measured: with NODE_EXTRA_CA_CERTS each start of Node reads a store of
// certificates, 0.1 s and more, which made every ratio to `node -e 0` look better than it was.
const SLOWS_EVERY_NODE = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS'];

const taken = SLOWS_EVERY_NODE.filter((name) => process.env[name] !== undefined);

/** For npm alone. */
export const NPM_ENVIRONMENT = Object.fromEntries(taken.map((name) => [name, process.env[name]]));

for (const name of taken) delete process.env[name];
