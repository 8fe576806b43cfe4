/** What bin/gsup.js loads. */
import { cacheCode } from './code-cache.ts';
import { report } from './report.ts';

const argv = process.argv.slice(2);
/** As connect.ts starts it. It lives long, and does not carry the command line with it. */
const isBackground = argv.length === 2 && argv[0] === 'daemon' && argv[1] === '--background';
const isPlain = process.execArgv.length === 0;
const keepCode = cacheCode(__dirname, isBackground ? 'daemon' : isPlain ? 'command' : null);

async function status(): Promise<number> {
  if (isBackground) {
    const { daemonProcess } = await import('./daemon-process.ts');
    return daemonProcess({ background: true, keepCode }).catch(report);
  }
  const { main } = await import('./main.ts');
  return main(argv);
}

// Ends at once: nothing that is left (an unread pipe, a timer) may hold up whoever waits for us.
void status().then((code) => process.exit(code));
