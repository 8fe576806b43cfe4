/** Restarts that nobody asks for: loaded when the first service wants them. */
import type { SupervisorState } from '../core/root-state.ts';
import type { AutomationOptions } from './automatic-restarts.ts';
import { loadPatiently } from './patient-load.ts';

export type Automation = {
  /** The state has changed. */
  update(): void;
  close(): void;
};

/** Follows the state from now on. */
export function followState(options: AutomationOptions): Automation {
  let restarts: Automation | null = null;
  let isLoading = false;
  let isClosed = false;
  const load = async (): Promise<void> => {
    isLoading = true;
    const { AutomaticRestarts } = await loadPatiently(() => import('./automatic-restarts.ts'));
    if (!isClosed) restarts = new AutomaticRestarts(options);
  };
  const update = (): void => {
    if (restarts !== null) restarts.update();
    else if (!isLoading && isWanted(options.state())) void load();
  };
  update();
  return {
    update,
    close: () => {
      isClosed = true;
      restarts?.close();
    },
  };
}

function isWanted({ services }: SupervisorState): boolean {
  return Object.values(services).some(({ spec }) => spec.watch !== null || spec.schedule !== null);
}
