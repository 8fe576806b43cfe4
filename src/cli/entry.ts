/** What bin/gsup.js loads. */
import { main } from './main.ts';

// Ends at once: nothing that is left (an unread pipe, a timer) may hold up whoever waits for us.
void main(process.argv.slice(2)).then((status) => process.exit(status));
