/** `gsup apply`: makes the daemon's services match a file. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { specFromFile } from '../config-file.ts';
import { connect, expectDaemon } from '../connect.ts';
import { ownEnvironment } from '../environment.ts';
import { follow } from '../operation.ts';
import { jsonText, toStdout } from '../print.ts';

type Flags = { config: string; env?: string; dryRun?: boolean; json?: boolean };

export function applyCommand(): Command {
  return new Command('apply')
    .summary("make the daemon's services match a file: add, change, remove")
    .description(
      'Makes the services of the daemon match FILE: what is missing is added and started, what differs is changed (restarted only when the process itself is concerned), what the file does not have is stopped and removed.',
    )
    .requiredOption('-c, --config <file>', 'a supervisor.yaml')
    .addOption(new Option('--env <name>').hideHelp())
    .option('--dry-run', 'print the plan and do nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  gsup apply -c supervisor.yaml --dry-run')
    .action(apply);
}

async function apply({ config, env, dryRun = false, json = false }: Flags): Promise<void> {
  expectDaemon();
  const { services, shutdownTimeoutMs, http } = await specFromFile(config, [], { envName: env });
  const { client } = connect();
  const input = {
    services: [...services],
    environment: ownEnvironment(),
    isWhole: true,
    isDryRun: dryRun,
    shutdownTimeoutMs,
    ...(http == null ? { http: null } : { http: { ...http, hosts: [...http.hosts] } }),
    // With another environment of PM2's the daemon could not read it again by itself.
    ...(env === undefined ? { file: resolve(config) } : {}),
  };
  if (dryRun && json) {
    for await (const line of client.apply(input)) {
      if (line.type === 'plan') toStdout(jsonText(line.changes));
    }
    return;
  }
  process.exitCode = await follow(client.apply(input), {
    what: `the apply of ${config}`,
    isJson: json,
    showsPlan: true,
  });
}
