/** What bin/gsup.js loads. */
import { cacheCode } from './code-cache.ts';
import { report } from './report.ts';

const keepCode = cacheCode(__dirname);

async function statusOf(argv: readonly string[]): Promise<number> {
  // As connect.ts starts it. It lives long, and does not carry the command line with it.
  if (argv.length === 2 && argv[0] === 'daemon' && argv[1] === '--background') {
    const { daemonProcess } = await import('./daemon-process.ts');
    return daemonProcess({ background: true, keepCode }).catch(report);
  }
  const { main } = await import('./main.ts');
  return main(argv);
}

// Ends at once: nothing that is left (an unread pipe, a timer) may hold up whoever waits for us.
void statusOf(process.argv.slice(2)).then((status) => process.exit(status));
