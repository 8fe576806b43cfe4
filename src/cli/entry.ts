/** What bin/gsup.js loads. */
import { cacheCode } from './code-cache.ts';
import { type Role, reportCrashes, reportFailure } from './crash.ts';

const argv = process.argv.slice(2);
/** As connect.ts starts it. It lives long, and does not carry the command line with it. */
const isBackground = argv.length === 2 && argv[0] === 'daemon' && argv[1] === '--background';
const isPlain = process.execArgv.length === 0;
const keepCode = cacheCode(__dirname, isBackground ? 'daemon' : isPlain ? 'command' : null);

const isDaemon = argv.find((word) => !word.startsWith('-')) === 'daemon';
const role: Role = isBackground ? 'background' : isDaemon ? 'daemon' : 'command';
reportCrashes(role);

async function status(): Promise<number> {
  if (isBackground) {
    const { daemonProcess } = await import('./daemon-process.ts');
    return daemonProcess({ background: true, keepCode });
  }
  const { main } = await import('./main.ts');
  return main(argv);
}

void status()
  .catch((error: unknown) => reportFailure(role, error))
  // Ends at once: nothing that is left (an unread pipe, a timer) may hold up whoever waits for us. Only the error of a
  // write to stdout comes first, some ticks after the write.
  .then((code) => setImmediate(() => process.exit(code)));
