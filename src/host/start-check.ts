/** Checks whether a service could start, before its present run is stopped. */
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import { instanceEnvironment } from './environment.ts';
import { resolveCommand } from './interpreter.ts';
import { checkCwd } from './spawn.ts';

/** @throws {GsupError} if a start would fail for a reason that a retry does not change. */
export function checkStart(spec: ServiceSpec, inherited: Readonly<Record<string, string>>): void {
  try {
    const environment = instanceEnvironment(spec, 0, { token: '', linkPath: null }, inherited);
    checkCwd(spec);
    resolveCommand(spec, environment['PATH']);
  } catch (error) {
    if (!isGsupError(error)) throw error;
    const { exitStatus, message, hint } = error;
    if (exitStatus !== EXIT.notFound && exitStatus !== EXIT.notExecutable) return;
    throw new GsupError(`${spec.name} could not start again, so nothing was stopped: ${message}`, {
      exitStatus: EXIT.failed,
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}
