// The load of the tests in a process of its own, from a line on stdin to the next: client.mjs LOAD-MODULE.
import { createInterface } from 'node:readline';

const { startLoad } = await import(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const load = startLoad(JSON.parse((await lines.next()).value));
await load.until('the first answers', ({ ok }) => ok > 100);
console.log('{}');
await lines.next();
console.log(JSON.stringify(await load.stop()));
