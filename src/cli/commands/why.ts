/** `gsup why`: how an instance stands, and how and why its last stop or exit went as it did. */
import { Command } from 'commander';
import { whyText } from '../../view/why.ts';
import { connect } from '../connect.ts';
import { jsonText, toStdout } from '../print.ts';
import { allowsColour, allowsUnicode } from '../terminal.ts';

export function whyCommand(): Command {
  return new Command('why')
    .summary('why a service is as it is, and how its last stop or exit went')
    .description(
      'Tells on one screen how NAME stands, the cause of its last end with its facts, its last restarts, what was pending, its last words on stderr, its stop budget, and the next step. Of a service with several instances the one that is worst off.',
    )
    .argument('<name>', 'a service, or an instance like api:1')
    .option('--json', 'the same as JSON')
    .addHelpText('after', '\nExamples:\n  gsup why api\n  gsup why api:1 --json')
    .action(async (name: string, { json }: { json?: boolean }) => {
      const { client } = connect();
      const view = await client.why({ name });
      const options = {
        now: Date.now(),
        width: process.stdout.isTTY ? (process.stdout.columns ?? 80) : 80,
        colour: allowsColour(process.stdout),
        unicode: allowsUnicode(process.env),
      };
      toStdout(json === true ? jsonText(view) : `${whyText(view, options)}\n`);
    });
}
