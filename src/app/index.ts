/** `gsup/app`: graceful shutdown inside an app, with and without gsup around it. */
export type {
  CancellationToken,
  ConnectionOf,
  Duration,
  Explanation,
  Flushable,
  HealthHandler,
  HookContext,
  HookOptions,
  LevelLogger,
  LogRecord,
  Outcome,
  Pending,
  PersistOptions,
  Phase,
  Pool,
  ServerOptions,
  ServerReport,
  Shutdown,
  ShutdownOptions,
  ShutdownReport,
  Step,
  Trigger,
  WebSocketLike,
  WebSocketServerLike,
} from './api.ts';
export { createShutdown } from './shutdown.ts';
export { ShuttingDownError } from './shutting-down-error.ts';
export { suggestedGrace } from './suggested-grace.ts';
